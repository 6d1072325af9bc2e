// The WebAssembly module as wasm/bindings.cpp exports it. A test compares this with what Embind says of itself.
// Every object owns C++ memory until delete(); every function throws an Error with the core's message.

export interface CoreObject {
  delete(): void;
}

export interface CoreBackend extends CoreObject {
  name(): string;
  description(): string;
  threads(): number;
}

/** A decoded image. */
export type CoreImage = CoreObject;

export interface CoreDataset extends CoreObject {
  add(image: CoreImage, label: number, name: string): void;
  size(): number;
  label(index: number): number;
  name(index: number): string;
  pixels(index: number): Uint8Array;
  counts(): number[];
  split(valFraction: number, seed: number): { train: Uint32Array; val: Uint32Array };
  subset(indices: Uint32Array): CoreDataset;
}

export interface CoreModel extends CoreObject {
  /** `training`: JSON that is kept in the file. */
  save(training: string): Uint8Array;
  /** Takes over the weights of a file that save() of this model gave; not while anything runs on it. */
  restore(backend: CoreBackend, file: Uint8Array): void;
  /** JSON. */
  spec(): string;
  /** JSON. */
  training(): string;
  summary(): {
    name: string;
    input: [number, number, number];
    classes: string[];
    parameters: number;
    loss: 'cross_entropy' | 'binary_cross_entropy';
    layers: { name: string; type: string; output: [number, number, number]; parameters: number }[];
  };
  /** The probability of each class, in label order. */
  classify(image: CoreImage): Float32Array;
}

export interface CoreTrainOptions {
  optimizer: string;
  lr: number;
  momentum: number;
  weightDecay: number;
  nesterov: boolean;
  batchSize: number;
  seed: number;
  shuffle: boolean;
}

export interface CoreStep {
  step: number;
  epoch: number;
  images: number;
  loss: number;
  correct: number;
  endOfEpoch: boolean;
}

export interface CoreTrainingRun extends CoreObject {
  step(): CoreStep;
}

export interface CoreEvaluationRun extends CoreObject {
  /** False when all images are scored. */
  step(): boolean;
  done(): number;
  /** Of every image scored so far, in order: as many values each as there are classes. */
  probabilities(): Float32Array;
  result(): { loss: number; accuracy: number; confusion: number[][]; precision: number[]; recall: number[] };
}

export interface Core {
  backendNames(): string[];
  bytesInUse(): number;
  bytesReserved(): number;
  Backend: { create(name: string, threads: number): CoreBackend };
  Image: {
    decode(encoded: Uint8Array): CoreImage;
    fromRgba(rgba: Uint8Array, width: number, height: number): CoreImage;
  };
  ImageDataset: { create(height: number, width: number, channels: number, classes: string[]): CoreDataset };
  Model: {
    create(backend: CoreBackend, spec: string, classes: string[], seed: number): CoreModel;
    load(backend: CoreBackend, file: Uint8Array, what: string): CoreModel;
  };
  TrainingRun: { start(model: CoreModel, data: CoreDataset, options: CoreTrainOptions): CoreTrainingRun };
  EvaluationRun: { start(model: CoreModel, data: CoreDataset, batchSize: number): CoreEvaluationRun };
}

/** What pinhole.mjs exports. */
export type CoreFactory = (settings: { pthreadPoolSize: number; wasmBinary?: Uint8Array }) => Promise<Core>;
