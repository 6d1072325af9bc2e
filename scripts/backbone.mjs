// Takes the trunk of a MobileNetV2 out of the npm package @mediapipe/objectron (Apache-2.0) and writes it as safetensors with the
// names of models/transfer.json:  node scripts/backbone.mjs [FILE]
//
// The package's objectron_solution_packed_assets.data holds a label map (184 bytes) and then a TFLite file: an SSD detector, trained on
// Open Images, with BatchNorm folded and weights in half precision. Its convolutions stand in the order in which they run; the trunk
// ends with block 12, before the box predictors matter.
// TFLite is a FlatBuffer: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Failure, main, root } from './lib.mjs';

export const trunkFile = path.join(root, 'models/mobilenet_v2_trunk.safetensors');
const packageName = '@mediapipe/objectron';
const labelMapBytes = 184;
const convolution = 3;
const depthwise = 4;
const dequantize = 6;
const half = 1; // TensorType.FLOAT16
const predictorOutputs = [12, 72]; // of the detector's box predictors, which stand between the trunk's convolutions

/** Channels out, stride and whether there is an expansion, for blocks 0 to 12 (MobileNetV2, table 2). */
const stages = [
  { out: 16, blocks: 1 },
  { out: 24, blocks: 2 },
  { out: 32, blocks: 3 },
  { out: 64, blocks: 4 },
  { out: 96, blocks: 3 },
];

/** A table of a FlatBuffer: fields by their number in the schema, undefined where they are not there. */
function table(view, at) {
  const vtable = at - view.getInt32(at, true);
  const size = view.getUint16(vtable, true);
  const field = (number) => {
    const slot = 4 + 2 * number;
    const offset = slot < size ? view.getUint16(vtable + slot, true) : 0;
    return offset ? at + offset : undefined;
  };
  /** Of a list: its length, and where its values of `width` bytes start. */
  const list = (number, width) => {
    const position = field(number);
    if (position === undefined) return { length: 0, start: 0 };
    const at = position + view.getUint32(position, true);
    const length = view.getUint32(at, true);
    if (length * width > view.byteLength - at - 4) throw new RangeError('a list that leaves the file');
    return { length, start: at + 4 };
  };
  return {
    byte: (number) => (field(number) === undefined ? 0 : view.getInt8(field(number))),
    int: (number) => (field(number) === undefined ? 0 : view.getInt32(field(number), true)),
    ints(number) {
      const { length, start } = list(number, 4);
      return Array.from({ length }, (_, i) => view.getInt32(start + 4 * i, true));
    },
    bytes(number) {
      const { length, start } = list(number, 1);
      return new Uint8Array(view.buffer, view.byteOffset + start, length);
    },
    tables(number) {
      const { length, start } = list(number, 4);
      return Array.from({ length }, (_, i) => {
        const position = start + 4 * i;
        return table(view, position + view.getUint32(position, true));
      });
    },
  };
}

/** The convolutions of a TFLite file in order: {kind, weight: {shape, halves}, bias}. */
export function readConvolutions(file) {
  try {
    return convolutionsOf(file);
  } catch (error) {
    // What an offset that leads nowhere ends in.
    if (error instanceof RangeError || error instanceof TypeError)
      throw new Failure(`${packageName} holds a damaged TFLite model`);
    throw error;
  }
}

function convolutionsOf(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.byteLength < 8 || new TextDecoder().decode(file.subarray(4, 8)) !== 'TFL3')
    throw new Failure(`${packageName} holds no TFLite model where one was expected`);
  const model = table(view, view.getUint32(0, true));
  const codes = model.tables(1).map((code) => Math.max(code.byte(0), code.int(3)));
  const buffers = model.tables(4);
  const [graph] = model.tables(2);
  const tensors = graph.tables(0);
  const operators = graph.tables(3).map((operator) => ({
    kind: codes[operator.int(0)],
    inputs: operator.ints(1),
    outputs: operator.ints(2),
  }));
  // Weights are stored as halves; an operator makes floats of them.
  const source = new Map(operators.filter(({ kind }) => kind === dequantize).map((o) => [o.outputs[0], o.inputs[0]]));
  const constant = (index) => {
    const tensor = tensors[source.get(index) ?? index];
    const bytes = buffers[tensor.int(2)].bytes(0);
    const shape = tensor.ints(0);
    const values = shape.reduce((a, b) => a * b, 1);
    if (tensor.byte(1) !== half || bytes.length !== 2 * values || shape.some((size) => size < 1))
      throw new Failure(`${packageName}: expected weights in half precision`);
    return { shape, halves: new Uint16Array(bytes.slice().buffer) };
  };
  return operators
    .filter(({ kind }) => kind === convolution || kind === depthwise)
    .map(({ kind, inputs }) => ({ kind, weight: constant(inputs[1]), bias: constant(inputs[2]) }))
    .map((one) => {
      if (one.weight.shape.length !== 4)
        throw new Failure(`${packageName}: expected convolutions with weights of rank 4`);
      return one;
    });
}

/** [O, H, W, I] to PyTorch's [O, I, H, W]; depthwise [1, H, W, C] to [C, 1, H, W]. */
function toTorch({ kind, weight: { shape, halves } }) {
  const [first, height, width, last] = shape;
  const [outputs, inputs] = kind === depthwise ? [last, 1] : [first, last];
  const out = new Uint16Array(halves.length);
  let to = 0;
  for (let o = 0; o < outputs; ++o) {
    for (let i = 0; i < inputs; ++i) {
      for (let h = 0; h < height; ++h) {
        for (let w = 0; w < width; ++w) {
          const channel = kind === depthwise ? o : i;
          const row = kind === depthwise ? 0 : o;
          out[to++] = halves[((row * height + h) * width + w) * last + channel];
        }
      }
    }
  }
  return { shape: [outputs, inputs, height, width], halves: out };
}

/** Name -> {shape, halves}, as models/transfer.json names them. */
export function trunkTensors(convolutions) {
  const inOrder = convolutions.filter(({ weight }) => !predictorOutputs.includes(weight.shape[0]))[Symbol.iterator]();
  const tensors = new Map();
  const take = (name, kind, outputs) => {
    const { value } = inOrder.next();
    const weight = value && toTorch(value);
    if (!value || value.kind !== kind || (outputs !== undefined && weight.shape[0] !== outputs))
      throw new Failure(`${packageName}: the convolution ${name} is not where it was expected`);
    tensors.set(`${name}.weight`, weight);
    tensors.set(`${name}.bias`, value.bias);
  };
  take('stem', convolution, 32);
  let block = 0;
  let channels = 32;
  for (const { out, blocks } of stages) {
    for (let i = 0; i < blocks; ++i, ++block) {
      const name = blockPrefix(block, i > 0);
      if (block > 0) take(`${name}expand`, convolution, 6 * channels);
      take(`${name}dw`, depthwise);
      take(`${name}project`, convolution, out);
      channels = out;
    }
  }
  return tensors;
}

/** A block with a skip connection is a Residual, the others are layers of the chain. */
const blockPrefix = (block, residual) => (residual ? `block${block}.body.` : `block${block}_`);

export function writeSafetensors(tensors, metadata) {
  const header = { __metadata__: metadata };
  let offset = 0;
  const names = [...tensors.keys()].sort();
  for (const name of names) {
    const { shape, halves } = tensors.get(name);
    header[name] = { dtype: 'F16', shape, data_offsets: [offset, offset + halves.byteLength] };
    offset += halves.byteLength;
  }
  let json = JSON.stringify(header);
  json += ' '.repeat((8 - (json.length % 8)) % 8);
  const file = new Uint8Array(8 + json.length + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(new TextEncoder().encode(json), 8);
  let at = 8 + json.length;
  for (const name of names) {
    const { halves } = tensors.get(name);
    file.set(new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength), at);
    at += halves.byteLength;
  }
  return file;
}

/** Writes the trunk to `out`. */
export function importTrunk(out = trunkFile) {
  const require = createRequire(import.meta.url);
  const folder = path.dirname(require.resolve(`${packageName}/package.json`));
  const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const assets = readFileSync(path.join(folder, 'objectron_solution_packed_assets.data'));
  const tensors = trunkTensors(readConvolutions(new Uint8Array(assets.subarray(labelMapBytes))));
  mkdirSync(path.dirname(out), { recursive: true });
  writeFileSync(
    out,
    writeSafetensors(tensors, {
      source: `npm ${packageName} ${version}`,
      license: license ?? 'Apache-2.0',
      notice:
        'MobileNetV2 trunk of the MediaPipe Objectron detector, Copyright The MediaPipe Authors; weights unchanged',
    }),
  );
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  main(async () => importTrunk(process.argv[2] && path.resolve(process.argv[2])));
