// Reads what TensorFlow.js calls a layers model (model.json: Keras' layers as JSON, and a manifest of weights) into a graph of layers and
// the values of its weights. What the layers mean is the business of who asks (toChain.ts); nothing that the file says is believed.
// Format: https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts (ModelJSON)

/** An object of a JSON file that nobody has checked yet. */
export type Unchecked = Readonly<Record<string, unknown>>;

/** A layer as it is used, after those whose outputs it takes. */
export interface Node {
  /** Keras' class: 'Conv2D'. */
  readonly type: string;
  readonly name: string;
  readonly config: Unchecked;
  readonly inputs: readonly Node[];
}

export interface Weights {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

const mostLayers = 2000;
const deepest = 16;

function isObject(value: unknown): value is Unchecked {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function damaged(what: string): never {
  throw new Error(`model.json is damaged, or no layers model of TensorFlow.js: ${what}`);
}

function objectIn(value: unknown, what: string): Unchecked {
  return isObject(value) ? value : damaged(`${what} is missing`);
}

function listIn(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) ? value : damaged(`${what} is missing`);
}

function textIn(value: unknown, what: string): string {
  return typeof value === 'string' && value.length > 0 && value.length <= 200 ? value : damaged(`${what} is missing`);
}

/** The height, width and channels of the picture that goes in, and the layer that comes out at the end. */
export interface Graph {
  readonly input: readonly [height: number, width: number, channels: number];
  readonly output: Node;
}

export function readGraph(model: Unchecked): Graph {
  if (model['format'] === 'graph-model')
    throw new Error('model.json is a graph model, whose layers are taken apart already; expected a layers model');
  const topology = objectIn(model['modelTopology'], '"modelTopology"');
  // Keras' converter puts what TensorFlow.js itself writes into "model_config".
  const whole = isObject(topology['model_config']) ? topology['model_config'] : topology;
  const reader = new Reader();
  const output = reader.container(whole, { type: 'InputLayer', name: '', config: {}, inputs: [] }, 0);
  const [, height, width, channels] = listIn(reader.inputShape, 'the size of its input');
  for (const size of [height, width, channels]) {
    if (!Number.isSafeInteger(size) || (size as number) < 1 || (size as number) > 4096)
      throw new Error(
        `model.json takes ${JSON.stringify(reader.inputShape)}, expected pictures: [null, height, width, channels]`,
      );
  }
  return { input: [height as number, width as number, channels as number], output };
}

class Reader {
  /** Of the first layer that says one. */
  inputShape: unknown;
  private count = 0;

  /** A model of layers, or one layer. */
  private layer(value: unknown, inputs: readonly Node[], depth: number): Node {
    const layer = objectIn(value, 'a layer');
    const type = textIn(layer['class_name'], "a layer's class_name");
    if (++this.count > mostLayers) throw new Error(`model.json has more than ${mostLayers} layers`);
    if (type === 'Sequential' || type === 'Model' || type === 'Functional') {
      const [input] = inputs;
      if (!input || inputs.length > 1) return damaged(`its ${type} takes ${inputs.length} inputs`);
      return this.container(layer, input, depth + 1);
    }
    const config = objectIn(layer['config'], `the config of a ${type}`);
    this.inputShape ??= config['batch_input_shape'] ?? config['batch_shape'];
    return { type, name: textIn(config['name'], `the name of a ${type}`), config, inputs };
  }

  container(layer: Unchecked, input: Node, depth: number): Node {
    if (depth > deepest) return damaged(`its models are more than ${deepest} deep in each other`);
    const type = textIn(layer['class_name'], 'its class_name');
    const config = layer['config'];
    // The oldest files have the list alone.
    const layers = listIn(isObject(config) ? config['layers'] : config, `the list of layers of its ${type}`);
    if (layers.length === 0) return damaged(`its ${type} has no layers`);
    if (type === 'Sequential') return this.sequence(layers, input, depth);
    if (!isObject(config) || (type !== 'Model' && type !== 'Functional'))
      throw new Error(`model.json is a ${type}, expected a Sequential or a Model of layers`);
    return this.functional(layers, config, input, depth);
  }

  private sequence(layers: readonly unknown[], input: Node, depth: number): Node {
    let at = input;
    for (const layer of layers) {
      const next = this.layer(layer, [at], depth);
      if (next.type !== 'InputLayer') at = next;
    }
    return at;
  }

  /** Each layer says by name which ones it takes its inputs from; those stand before it. */
  private functional(layers: readonly unknown[], config: Unchecked, input: Node, depth: number): Node {
    const known = new Map<string, Node>();
    for (const value of layers) {
      const layer = objectIn(value, 'a layer');
      const name = textIn(layer['name'], "a layer's name");
      if (known.has(name)) return damaged(`two layers are called ${name}`);
      const inputs = sourcesOf(layer, name).map(
        (source) => known.get(source) ?? damaged(`${name} comes before ${source}`),
      );
      if (inputs.length === 0) {
        if (layer['class_name'] !== 'InputLayer') return damaged(`${name} has no input`);
        this.layer(layer, [], depth);
        known.set(name, input);
      } else {
        known.set(name, this.layer(layer, inputs, depth));
      }
    }
    const outputs = listIn(config['output_layers'], '"output_layers"');
    if (outputs.length !== 1 || listIn(config['input_layers'], '"input_layers"').length !== 1)
      throw new Error('model.json has several inputs or outputs, expected one picture in and one answer out');
    // One is ["name", 0, 0] or stands alone without a list around it.
    const [only] = outputs;
    const name = textIn(Array.isArray(only) ? (only as unknown[])[0] : only, 'the name of its output layer');
    return known.get(name) ?? damaged(`its output layer ${name} is not there`);
  }
}

/** Of [[["name", node, tensor, {}], ...]]: one use, and its inputs. */
function sourcesOf(layer: Unchecked, name: string): string[] {
  const uses = listIn(layer['inbound_nodes'], `"inbound_nodes" of ${name}`);
  if (uses.length === 0) return [];
  if (uses.length > 1) throw new Error(`model.json uses the layer ${name} ${uses.length} times, expected once`);
  return listIn(uses[0], `the inputs of ${name}`).map((source) =>
    textIn(Array.isArray(source) ? (source as unknown[])[0] : undefined, `an input of ${name}`),
  );
}

/** By name, as the manifest has them: 'Conv1/kernel'. `file` gives the bytes of a path. */
export function readWeights(model: Unchecked, file: (path: string) => Uint8Array): Map<string, Weights> {
  const found = new Map<string, Weights>();
  for (const value of listIn(model['weightsManifest'], '"weightsManifest"')) {
    const group = objectIn(value, 'a group of weights');
    const paths = listIn(group['paths'], '"paths" of its weights').map((path) => textIn(path, 'a path of its weights'));
    const bytes = joined(paths.map(file));
    let at = 0;
    for (const entry of listIn(group['weights'], '"weights"')) {
      const { name, shape, width, decode } = entryOf(objectIn(entry, 'an entry of its weights'));
      const size = shape.reduce((product, length) => product * length, 1);
      if (at + size * width > bytes.length)
        throw new Error(
          `${paths.join(', ')}: the weights end in the middle of ${name}; expected ${at + size * width} bytes or more, got ${bytes.length}`,
        );
      // A copy, because a Float32Array may only begin at a multiple of four.
      found.set(name, { shape, values: decode(bytes.slice(at, at + size * width).buffer) });
      at += size * width;
    }
    if (at !== bytes.length)
      throw new Error(`${paths.join(', ')}: expected ${at} bytes of weights, got ${bytes.length}`);
  }
  return found;
}

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Bytes of a value. */
  readonly width: number;
  readonly decode: (bytes: ArrayBuffer) => Float32Array;
}

function entryOf(entry: Unchecked): Entry {
  const name = textIn(entry['name'], 'the name of a weight');
  const shape = listIn(entry['shape'], `the shape of ${name}`).map((size) =>
    Number.isSafeInteger(size) && (size as number) >= 1 && (size as number) <= 2 ** 24
      ? (size as number)
      : damaged(`the shape of ${name} is ${JSON.stringify(entry['shape'])}`),
  );
  const quantization = isObject(entry['quantization']) ? entry['quantization'] : {};
  const kind = entry['dtype'] === 'float32' ? (quantization['dtype'] ?? 'float32') : entry['dtype'];
  const scale = Number(quantization['scale']);
  const min = Number(quantization['min']);
  const scaled = (values: Uint8Array | Uint16Array): Float32Array =>
    Float32Array.from(values, (value) => value * scale + min);
  if (kind === 'float32') return { name, shape, width: 4, decode: (bytes) => new Float32Array(bytes) };
  if (kind === 'float16')
    return { name, shape, width: 2, decode: (bytes) => Float32Array.from(new Uint16Array(bytes), halfToFloat) };
  if ((kind === 'uint8' || kind === 'uint16') && Number.isFinite(scale) && Number.isFinite(min)) {
    return kind === 'uint8'
      ? { name, shape, width: 1, decode: (bytes) => scaled(new Uint8Array(bytes)) }
      : { name, shape, width: 2, decode: (bytes) => scaled(new Uint16Array(bytes)) };
  }
  throw new Error(
    `model.json: ${name} is stored as ${JSON.stringify(kind)}, expected float32, float16, uint8 or uint16`,
  );
}

function halfToFloat(half: number): number {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
