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

/** A decoded image, upright. */
export interface CoreImage extends CoreObject {
  height(): number;
  width(): number;
}

export interface CoreDataset extends CoreObject {
  add(image: CoreImage, label: number, name: string, centerCrop: boolean): void;
  size(): number;
  label(index: number): number;
  name(index: number): string;
  pixels(index: number): Uint8Array;
  counts(): number[];
  /** One image as a training with this `augment` list (JSON), seed and epoch sees it. */
  augmented(index: number, augment: string, seed: number, epoch: number): Uint8Array;
  split(valFraction: number, seed: number): { train: Uint32Array; val: Uint32Array };
  subset(indices: Uint32Array): CoreDataset;
}

export interface CoreModel extends CoreObject {
  loadPretrained(file: Uint8Array, what: string): void;
  /** `training`: JSON that is kept in the file. */
  save(training: string): Uint8Array;
  /** The bytes of an ONNX file: the network, or with the preprocessing inside. */
  exportOnnx(classifier: boolean): Uint8Array;
  /** Python source that reads its weights from the file `weights` beside it. */
  exportTorch(weights: string): string;
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
  heatMap(image: CoreImage, label: number): { data: Float32Array; height: number; width: number };
}

export interface CoreStep {
  step: number;
  epoch: number;
  images: number;
  loss: number;
  correct: number;
  lr: number;
  endOfEpoch: boolean;
}

export interface CoreTrainingRun extends CoreObject {
  /** Before the first step: the frozen layers on a batch of images. False when nothing is left; step() does what is left. */
  prepareStep(): boolean;
  /** Of toPrepare() images, one for each look of each, prepared() are done. */
  prepared(): number;
  toPrepare(): number;
  /** With nearest_mean_start: the model can answer, by the nearest class mean. */
  startedFromMeans(): boolean;
  step(): CoreStep;
  /** The last step of an epoch is done, endEpoch() is due. */
  epochEnded(): boolean;
  /** Puts the moving average of the weights into the model to validate it, and the trained weights back. */
  useAverage(use: boolean): void;
  endEpoch(scores: { loss: number; accuracy: number } | undefined): void;
  finished(): boolean;
  /** Gives the model the weights that it is to keep. False when it has them already. */
  finish(): boolean;
  /** JSON: CoreProgress. */
  progress(): string;
  /** JSON: the options in use, defaults included. */
  recipe(): string;
  /** JSON: what start() was given, or the state held. */
  notes(): string;
  /** After resume(): why it cannot end in the bits of the training it goes on with, in a sentence; empty when it can. */
  inexact(): string;
  /** The bytes to go on from. */
  state(val: CoreDataset | null): Uint8Array;
}

/** Where a training stands, in the words of the files. */
export interface CoreProgress {
  epoch: number;
  step: number;
  /** The epoch that was best on the validation images; 0: none yet. */
  best_epoch: number;
  history: {
    epoch: number;
    train_loss: number;
    train_accuracy: number;
    val_loss: number | null;
    val_accuracy: number | null;
  }[];
}

/** A recipe's JSON with every key: those that the engine looks at. */
export interface CoreRecipe {
  epochs: number;
  batch_size: number;
  optimizer: { name: string; lr: number; weight_decay: number; momentum: number; nesterov: boolean };
  seed: number;
  shuffle: boolean;
  keep: 'last' | 'best';
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
    decode(encoded: Uint8Array, maxPixels: number): CoreImage;
    fromRgba(rgba: Uint8Array, width: number, height: number): CoreImage;
  };
  ImageDataset: { create(height: number, width: number, channels: number, classes: string[]): CoreDataset };
  Model: {
    create(backend: CoreBackend, spec: string, classes: string[], seed: number): CoreModel;
    load(backend: CoreBackend, file: Uint8Array, what: string): CoreModel;
  };
  /** `recipe`, `notes`: JSON. Keys that the recipe lacks have defaults, or in resume() the state's values. */
  TrainingRun: {
    start(model: CoreModel, data: CoreDataset, recipe: string, notes: string): CoreTrainingRun;
    resume(
      model: CoreModel,
      data: CoreDataset,
      val: CoreDataset | null,
      state: Uint8Array,
      recipe: string,
    ): CoreTrainingRun;
  };
  EvaluationRun: {
    start(model: CoreModel, data: CoreDataset, batchSize: number): CoreEvaluationRun;
    /** Of the model that `run` trains: what its frozen layers give for the data is kept between calls. */
    during(run: CoreTrainingRun, data: CoreDataset): CoreEvaluationRun;
  };
}

/** What pinhole.mjs exports. */
export type CoreFactory = (settings: { pthreadPoolSize: number; wasmBinary?: Uint8Array }) => Promise<Core>;
