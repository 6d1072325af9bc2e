// A graph of Keras' layers as Pinhole has it: a chain of layers in which what is added to something earlier is a `Residual`, with the
// weights in PyTorch's layouts. A layer that Pinhole does not have, or has not in this form, is an Error that names it.
import type { ModelSpec } from '../types.js';
import type { Graph, Node, Weights } from './keras.js';

type Layer = ModelSpec['layers'][number];

export interface Chain {
  readonly input: Graph['input'];
  readonly layers: Layer[];
  /** As in PyTorch's state_dict. */
  readonly tensors: Map<string, Weights>;
  /** Values of its output. */
  readonly outputs: number;
}

type Step = Node | { readonly add: Node; readonly body: readonly Step[]; readonly shortcut: readonly Step[] };

const activations: Readonly<Record<string, string>> = {
  relu: 'ReLU',
  relu6: 'ReLU6',
  sigmoid: 'Sigmoid',
  softmax: 'Softmax',
  swish: 'SiLU',
  silu: 'SiLU',
};

function unsupported(node: Node, why: string): never {
  throw new Error(`the layer ${node.name} (${node.type}) ${why}`);
}

export function toChain({ input, output }: Graph, weights: ReadonlyMap<string, Weights>): Chain {
  const builder = new Builder(weights, input);
  const layers = builder.chain(new Flow().until(output, undefined), '');
  return { input, layers, tensors: builder.tensors, outputs: builder.size };
}

/** Which layers follow on each other, and where what an Add adds had parted. */
class Flow {
  private readonly parted = new Map<Node, Node>();
  private readonly seen = new Set<Node>();

  /** From behind `start` (from the input, where there is none) to `end`. */
  until(end: Node, start: Node | undefined): Step[] {
    const steps: Step[] = [];
    for (let at = end; at !== start && at.inputs.length > 0; at = this.before(at)) {
      if (this.seen.has(at)) unsupported(at, 'is used by several layers in a way that is no skip connection');
      this.seen.add(at);
      steps.push(at.type === 'Add' ? this.addition(at) : at);
    }
    return steps.reverse();
  }

  private addition(add: Node): Step {
    const [first, second] = pairOf(add);
    const start = this.before(add);
    // What comes unchanged is the shortcut.
    const [long, short] = first === start ? [second, first] : [first, second];
    const body = this.until(long, start);
    if (body.length === 0) unsupported(add, 'adds something to itself');
    return { add, body, shortcut: this.until(short, start) };
  }

  /** What the whole of `node`'s input comes from. */
  private before(node: Node): Node {
    if (node.type !== 'Add') {
      const [input] = node.inputs;
      if (!input || node.inputs.length > 1)
        return unsupported(node, 'takes several inputs, which Pinhole has for Add only');
      return input;
    }
    const known = this.parted.get(node);
    if (known) return known;
    const [first, second] = pairOf(node);
    const above = new Set<Node>();
    let at = first;
    for (above.add(at); at.inputs.length > 0; above.add(at)) at = this.before(at);
    for (at = second; !above.has(at); at = this.before(at));
    this.parted.set(node, at);
    return at;
  }
}

function pairOf(add: Node): readonly [Node, Node] {
  const [first, second] = add.inputs;
  if (!first || !second || add.inputs.length > 2)
    return unsupported(add, `adds ${add.inputs.length} inputs, expected two`);
  return [first, second];
}

interface Padding {
  readonly node: Node;
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

const none = { top: 0, bottom: 0, left: 0, right: 0 };

class Builder {
  readonly tensors = new Map<string, Weights>();
  private height: number;
  private width: number;
  private channels: number;
  /** What a Flatten made flat, until a Dense has taken it. */
  private flattened: readonly [height: number, width: number, channels: number] | undefined;
  /** Of a ZeroPadding2D, until a convolution has taken it. */
  private padding: Padding | undefined;

  constructor(
    private readonly weights: ReadonlyMap<string, Weights>,
    input: Graph['input'],
  ) {
    [this.height, this.width, this.channels] = input;
  }

  get size(): number {
    return this.height * this.width * this.channels;
  }

  /** `prefix`: of the names of its tensors. */
  chain(steps: readonly Step[], prefix: string): Layer[] {
    const layers: Layer[] = [];
    const taken = new Set<string>();
    for (const step of steps) {
      const node = 'add' in step ? step.add : step;
      const name = freeName(node.name, taken);
      layers.push(...('add' in step ? [this.residual(step, name, prefix)] : this.layersOf(step, name, prefix, taken)));
    }
    if (this.padding) unsupported(this.padding.node, 'pads with zeros, but no convolution follows it');
    return layers;
  }

  private residual(step: Exclude<Step, Node>, name: string, prefix: string): Layer {
    const { height, width, channels } = this;
    const body = this.chain(step.body, `${prefix}${name}.body.`);
    const sum = [this.height, this.width, this.channels];
    [this.height, this.width, this.channels] = [height, width, channels];
    const shortcut = this.chain(step.shortcut, `${prefix}${name}.shortcut.`);
    const other = [this.height, this.width, this.channels];
    if (sum.join() !== other.join()) unsupported(step.add, `adds ${sum.join('x')} and ${other.join('x')}`);
    return { type: 'Residual', name, body, ...(shortcut.length > 0 && { shortcut }) };
  }

  private layersOf(node: Node, name: string, prefix: string, taken: Set<string>): Layer[] {
    const { config, type } = node;
    const path = prefix + name;
    if (this.padding && type !== 'Conv2D' && type !== 'DepthwiseConv2D')
      unsupported(this.padding.node, `pads with zeros before a ${type}, expected a convolution`);
    if (config['data_format'] === 'channels_first') unsupported(node, 'has its channels first, expected channels_last');
    const then = (layer: Layer): Layer[] => {
      const activation = this.activation(node, freeName(`${name}_activation`, taken));
      return activation ? [layer, activation] : [layer];
    };
    switch (type) {
      case 'InputLayer':
        return [];
      case 'ZeroPadding2D':
        this.padding = paddingOf(node);
        return [];
      case 'Conv2D':
      case 'DepthwiseConv2D':
        return then(this.convolution(node, name, path));
      case 'BatchNormalization':
        return [this.batchNorm(node, name, path)];
      case 'Dense':
        return then(this.dense(node, name, path));
      case 'ReLU':
        return [reluOf(node, name)];
      case 'Softmax':
        return [{ type: 'Softmax', name }];
      case 'Activation': {
        const layer = this.activation(node, name);
        return layer ? [layer] : [];
      }
      case 'Dropout':
        return [{ type: 'Dropout', name, p: share(node, 'rate') }];
      case 'MaxPooling2D':
      case 'AveragePooling2D':
        return [this.pool(node, name)];
      case 'GlobalAveragePooling2D':
        [this.height, this.width] = [1, 1];
        return [
          { type: 'AdaptiveAvgPool2d', name, output_size: 1 },
          { type: 'Flatten', name: freeName(`${name}_flatten`, taken) },
        ];
      case 'Flatten':
        this.flattened = [this.height, this.width, this.channels];
        [this.height, this.width, this.channels] = [1, 1, this.size];
        return [{ type: 'Flatten', name }];
      default:
        return unsupported(node, 'is of a kind that Pinhole does not have');
    }
  }

  private activation(node: Node, name: string): Layer | undefined {
    const kind = node.config['activation'] ?? 'linear';
    if (kind === 'linear') return undefined;
    const type = typeof kind === 'string' && Object.hasOwn(activations, kind) ? activations[kind] : undefined;
    return type
      ? { type, name }
      : unsupported(node, `has the activation ${JSON.stringify(kind)}, which Pinhole does not have`);
  }

  /** Keras' [kh, kw, in, out] becomes [out, in, kh, kw]; of a depthwise one [kh, kw, in, multiplier] becomes [in * multiplier, 1, kh, kw]. */
  private convolution(node: Node, name: string, path: string): Layer {
    const isDepthwise = node.type === 'DepthwiseConv2D';
    const kernel = this.weight(node, isDepthwise ? 'depthwise_kernel' : 'kernel', 4);
    const [kh = 0, kw = 0, inputs = 0, last = 0] = kernel.shape;
    const stride = pair(node, 'strides', [1, 1]);
    const dilation = pair(node, 'dilation_rate', [1, 1]);
    const groups = isDepthwise ? inputs : whole(node, 'groups', 1);
    if (inputs * (isDepthwise ? 1 : groups) !== this.channels)
      unsupported(node, `has weights for ${inputs} channels, but its input has ${this.channels}`);
    const outputs = isDepthwise ? inputs * last : last;
    const padding = this.paddingFor(node, [kh, kw], stride, dilation);
    const values = new Float32Array(kernel.values.length);
    const perGroup = isDepthwise ? 1 : inputs;
    let to = 0;
    for (let o = 0; o < outputs; ++o) {
      for (let i = 0; i < perGroup; ++i) {
        const column = isDepthwise ? o : i * outputs + o;
        for (let pixel = 0; pixel < kh * kw; ++pixel) values[to++] = kernel.values[pixel * inputs * last + column]!;
      }
    }
    this.tensors.set(`${path}.weight`, { shape: [outputs, perGroup, kh, kw], values });
    const bias = this.bias(node, path, outputs);
    const is = (value: readonly number[], standard: number): boolean => value.every((one) => one === standard);
    this.channels = outputs;
    return {
      type: 'Conv2d',
      name,
      out_channels: outputs,
      kernel_size: [kh, kw],
      ...(!is(stride, 1) && { stride }),
      ...(padding !== undefined && { padding }),
      ...(!is(dilation, 1) && { dilation }),
      ...(groups > 1 && { groups }),
      ...(!bias && { bias }),
    };
  }

  /** PyTorch's padding of it; and what comes out has its size. */
  private paddingFor(
    node: Node,
    kernel: readonly [number, number],
    stride: readonly [number, number],
    dilation: readonly [number, number],
  ): 'same' | readonly [number, number] | undefined {
    const kind = node.config['padding'] ?? 'valid';
    if (kind !== 'valid' && kind !== 'same')
      unsupported(node, `has the padding ${JSON.stringify(kind)}, expected valid or same`);
    const before = this.padding;
    this.padding = undefined;
    const same = [this.height, this.width].map((size, i) => {
      const outputs = Math.ceil(size / stride[i]!);
      const total = Math.max(0, (outputs - 1) * stride[i]! + dilation[i]! * (kernel[i]! - 1) + 1 - size);
      return [Math.floor(total / 2), Math.ceil(total / 2)] as const;
    }) as [readonly [number, number], readonly [number, number]];
    if (kind === 'same') {
      if (before) unsupported(before.node, 'pads with zeros before a convolution that pads itself');
      [this.height, this.width] = [Math.ceil(this.height / stride[0]), Math.ceil(this.width / stride[1])];
      return 'same';
    }
    const { top, bottom, left, right } = before ?? none;
    const out = (size: number, i: 0 | 1): number =>
      Math.floor((size - dilation[i] * (kernel[i] - 1) - 1) / stride[i]) + 1;
    const isSame = [top, bottom, left, right].join() === same.flat().join();
    [this.height, this.width] = [out(this.height + top + bottom, 0), out(this.width + left + right, 1)];
    if (this.height < 1 || this.width < 1) unsupported(node, 'has a kernel that is larger than its input');
    if (top === bottom && left === right) return top + left > 0 ? [top, left] : undefined;
    if (isSame) return 'same';
    return unsupported(
      node,
      `has zeros around it that differ (${top}, ${bottom}, ${left}, ${right}), which Pinhole does not have`,
    );
  }

  private batchNorm(node: Node, name: string, path: string): Layer {
    const { config } = node;
    const axis = Array.isArray(config['axis']) ? (config['axis'] as unknown[])[0] : (config['axis'] ?? -1);
    if (axis !== -1 && axis !== 3)
      unsupported(node, `normalises axis ${JSON.stringify(axis)}, expected the channels, -1`);
    if (this.flattened && this.flattened[0] * this.flattened[1] > 1) unsupported(node, 'comes after a Flatten');
    const channels = this.channels;
    const filled = (value: number): Weights => ({ shape: [channels], values: new Float32Array(channels).fill(value) });
    const parts = [
      ['weight', 'gamma', config['scale'] !== false, 1],
      ['bias', 'beta', config['center'] !== false, 0],
      ['running_mean', 'moving_mean', true, 0],
      ['running_var', 'moving_variance', true, 1],
    ] as const;
    for (const [ours, theirs, isThere, otherwise] of parts)
      this.tensors.set(`${path}.${ours}`, isThere ? this.weight(node, theirs, 1, channels) : filled(otherwise));
    // Keras' momentum is what stays, PyTorch's what is new.
    const momentum = Number((1 - share(node, 'momentum', 0.99)).toFixed(9));
    return { type: 'BatchNorm2d', name, eps: share(node, 'epsilon', 1e-3), momentum };
  }

  /** Keras' [in, out] becomes [out, in]; `in` of a flattened picture goes from [h, w, c] to [c, h, w]. */
  private dense(node: Node, name: string, path: string): Layer {
    if (this.height * this.width !== 1)
      unsupported(node, `takes a picture of ${this.height}x${this.width}, expected flat values`);
    const kernel = this.weight(node, 'kernel', 2);
    const [inputs = 0, outputs = 0] = kernel.shape;
    if (inputs !== this.channels)
      unsupported(node, `has weights for ${inputs} values, but its input has ${this.channels}`);
    const [h, w, c] = this.flattened ?? [1, 1, inputs];
    this.flattened = undefined;
    const values = new Float32Array(kernel.values.length);
    for (let pixel = 0; pixel < h * w; ++pixel) {
      for (let channel = 0; channel < c; ++channel) {
        const from = (pixel * c + channel) * outputs;
        const to = channel * h * w + pixel;
        for (let o = 0; o < outputs; ++o) values[o * inputs + to] = kernel.values[from + o]!;
      }
    }
    this.tensors.set(`${path}.weight`, { shape: [outputs, inputs], values });
    const bias = this.bias(node, path, outputs);
    this.channels = outputs;
    return { type: 'Linear', name, out_features: outputs, ...(!bias && { bias }) };
  }

  private pool(node: Node, name: string): Layer {
    const kernel = pair(node, 'pool_size', [2, 2]);
    const stride = pair(node, 'strides', kernel);
    const out = (size: number, i: 0 | 1): number => Math.floor((size - kernel[i]) / stride[i]) + 1;
    const [height, width] = [out(this.height, 0), out(this.width, 1)];
    if (height < 1 || width < 1) unsupported(node, 'has a window that is larger than its input');
    const padded = node.config['padding'] === 'same';
    if (padded && (height !== Math.ceil(this.height / stride[0]) || width !== Math.ceil(this.width / stride[1])))
      unsupported(node, 'pads its input, which Pinhole does for convolutions only');
    [this.height, this.width] = [height, width];
    return { type: node.type === 'MaxPooling2D' ? 'MaxPool2d' : 'AvgPool2d', name, kernel_size: kernel, stride };
  }

  /** Whether it has one. */
  private bias(node: Node, path: string, outputs: number): boolean {
    if (node.config['use_bias'] === false) return false;
    this.tensors.set(`${path}.bias`, this.weight(node, 'bias', 1, outputs));
    return true;
  }

  private weight(node: Node, what: string, rank: number, size?: number): Weights {
    const key = `${node.name}/${what}`;
    // A model in a model may have its name before it.
    const found = this.weights.get(key) ?? [...this.weights].find(([name]) => name.endsWith(`/${key}`))?.[1];
    if (!found) return unsupported(node, `has no weights ${key}`);
    if (found.shape.length !== rank || (size !== undefined && found.shape[0] !== size))
      return unsupported(
        node,
        `has ${key} of shape [${found.shape.join(', ')}], expected ${size === undefined ? `${rank} sizes` : `[${size}]`}`,
      );
    return found;
  }
}

function reluOf({ config, ...node }: Node, name: string): Layer {
  const most = config['max_value'] ?? null;
  if ((config['negative_slope'] ?? 0) !== 0 || (config['threshold'] ?? 0) !== 0 || (most !== null && most !== 6))
    return unsupported({ config, ...node }, 'has a max_value, slope or threshold that is neither ReLU nor ReLU6');
  return { type: most === 6 ? 'ReLU6' : 'ReLU', name };
}

function paddingOf(node: Node): Padding {
  const [[top, bottom], [left, right]] = sides(node);
  return { node, top, bottom, left, right };
}

/** padding: 1, [1, 2] or [[0, 1], [0, 1]]. */
function sides(node: Node): readonly [readonly [number, number], readonly [number, number]] {
  const value = node.config['padding'] ?? 1;
  const both = (side: unknown): readonly [number, number] => {
    const [before, after] = Array.isArray(side) ? (side as unknown[]) : [side, side];
    if (!isSize(before, 0) || !isSize(after, 0)) return unsupported(node, `has the padding ${JSON.stringify(value)}`);
    return [before, after];
  };
  const [vertical, horizontal] = Array.isArray(value) ? (value as unknown[]) : [value, value];
  return [both(vertical), both(horizontal)];
}

function isSize(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= 4096;
}

function whole(node: Node, key: string, otherwise: number): number {
  const value = node.config[key] ?? otherwise;
  return isSize(value, 1) ? value : unsupported(node, `has ${key} ${JSON.stringify(value)}`);
}

function pair(node: Node, key: string, otherwise: readonly [number, number]): readonly [number, number] {
  const value = node.config[key] ?? otherwise;
  const [vertical, horizontal] = Array.isArray(value) ? (value as unknown[]) : [value, value];
  if (!isSize(vertical, 1) || !isSize(horizontal, 1)) return unsupported(node, `has ${key} ${JSON.stringify(value)}`);
  return [vertical, horizontal];
}

/** A number from 0 to 1. */
function share(node: Node, key: string, otherwise?: number): number {
  const value = node.config[key] ?? otherwise;
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    return unsupported(node, `has ${key} ${JSON.stringify(value)}, expected a number from 0 to 1`);
  return value;
}

/** Letters, digits and _, as a name in Python; one that is taken gets a number. */
function freeName(name: string, taken: Set<string>): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');
  let free = plain;
  for (let count = 2; taken.has(free); ++count) free = `${plain}_${count}`;
  taken.add(free);
  return free;
}
