// An image model of Teachable Machine as a model of Pinhole: metadata.json names the classes, model.json (a layers model of TensorFlow.js)
// the layers, weights.bin holds the weights. Loaded when it is asked for.
// https://github.com/googlecreativelab/teachablemachine-community/tree/master/libraries/image
import type { ModelSpec, TrainingRecord } from '../types.js';
import { readGraph, readWeights, type Unchecked } from './keras.js';
import { toChain } from './toChain.js';

/** Its files by their names: 'metadata.json', 'model.json', and the weights that model.json names, mostly 'weights.bin'. */
export type TeachableMachineFiles = Readonly<Record<string, Uint8Array | ArrayBuffer | Blob>>;

export interface Imported {
  readonly spec: ModelSpec;
  readonly classes: string[];
  /** safetensors. */
  readonly weights: Uint8Array;
  readonly training: TrainingRecord;
}

const largestJson = 16 << 20;

/** Throws one sentence when the files are not such a model, or one with a layer that Pinhole does not have. */
export async function importTeachableMachine(files: TeachableMachineFiles): Promise<Imported> {
  const bytes = new Map<string, Uint8Array>();
  for (const [name, file] of Object.entries(files)) bytes.set(fileName(name), await bytesOf(file));
  const metadata = jsonIn(bytes, 'metadata.json');
  const model = jsonIn(bytes, 'model.json');
  const labels = metadata['labels'];
  if (
    !Array.isArray(labels) ||
    labels.length < 2 ||
    !labels.every((label) => typeof label === 'string' && label !== '')
  )
    throw new Error('metadata.json has no "labels", expected the names of two or more classes');
  const classes = (labels as string[]).map((label, i) => (labels.indexOf(label) < i ? `${label} (${i + 1})` : label));
  const graph = readGraph(model);
  const chain = toChain(
    graph,
    readWeights(model, (path) => named(bytes, fileName(path))),
  );
  if (chain.outputs !== classes.length)
    throw new Error(`model.json tells ${chain.outputs} classes apart, but metadata.json names ${classes.length}`);
  // Teachable Machine's own arithmetic: a byte / 127 - 1.
  const middle = Array.from({ length: graph.input[2] }, () => 127 / 255);
  const name =
    typeof metadata['modelName'] === 'string' && metadata['modelName'] !== '' ? metadata['modelName'] : 'model';
  const normalize = { type: 'Normalize', name: 'normalize', mean: middle, std: middle };
  return {
    spec: {
      format: 'pinhole/1',
      name: name.slice(0, 100),
      input: chain.input,
      crop: 'center', // its cropTo
      layers: [normalize, ...asTrained(chain.layers)],
    },
    classes,
    weights: safetensors(chain.tensors),
    training: { imported_from: 'Teachable Machine', ...facts(metadata) },
  };
}

/** The trunk came to Teachable Machine as it is and stays so here; the last Linear has one output a class. */
function asTrained(layers: ModelSpec['layers']): ModelSpec['layers'] {
  const isLinear = layers.map(({ type }) => type === 'Linear');
  const [first, last] = [isLinear.indexOf(true), isLinear.lastIndexOf(true)];
  return layers.map((layer, i) => {
    if (i === last) return { ...layer, out_features: 'classes' };
    const isTrunk = i < first && ['Conv2d', 'BatchNorm2d', 'Residual'].includes(layer.type);
    return isTrunk ? { ...layer, requires_grad: false } : layer;
  });
}

/** What the file says of where it comes from. */
function facts(metadata: Unchecked): Record<string, string> {
  const told = { tmVersion: 'version', packageVersion: 'package_version', timeStamp: 'made' };
  const found: Record<string, string> = {};
  for (const [theirs, ours] of Object.entries(told)) {
    const value = metadata[theirs];
    if (typeof value === 'string' && value.length < 100) found[ours] = value;
  }
  return found;
}

/** my_model/weights.bin -> weights.bin */
function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

async function bytesOf(file: Uint8Array | ArrayBuffer | Blob): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  return new Uint8Array(file instanceof ArrayBuffer ? file : await file.arrayBuffer());
}

function named(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const found = files.get(name);
  if (found) return found;
  const there = [...files.keys()].slice(0, 5).join(', ');
  throw new Error(
    `${name} is missing; a model of Teachable Machine is metadata.json, model.json and weights.bin, got ${there || 'no file'}`,
  );
}

function jsonIn(files: ReadonlyMap<string, Uint8Array>, name: string): Unchecked {
  const bytes = named(files, name);
  if (bytes.length > largestJson) throw new Error(`${name} is larger than ${largestJson >> 20} MB`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Error(`${name} is damaged: it is not JSON`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${name} is damaged: it is not an object`);
  return value as Unchecked;
}

/** https://github.com/huggingface/safetensors#format, all of it F32. */
function safetensors(tensors: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>): Uint8Array {
  const header: Record<string, unknown> = {};
  let size = 0;
  for (const [name, { shape, values }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [size, size + values.byteLength] };
    size += values.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(start + size).fill(0x20, 8, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  file.set(json, 8);
  let at = start;
  for (const { values } of tensors.values()) {
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return file;
}
