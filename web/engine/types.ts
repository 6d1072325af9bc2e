// What users of the `pinhole` module see: options, events and results. Words are PyTorch's where PyTorch has one.
// Everything here is plain data that a worker can send and receive.

/** How an engine is built: plain SIMD on one thread, SIMD with threads, or relaxed SIMD with threads. */
export type Variant = 'simd' | 'simd-threads' | 'relaxed-threads';

export interface LoadOptions {
  /** Threads that compute, the engine's own worker included. Default: one per core, at most 16; always 1 in the `simd` build. */
  threads?: number;
  /** Forces a build. Default: the best that this browser or Node can run. */
  variant?: Variant;
  /** Forces the kernels: 'xnnpack', 'simd' or 'reference'. Default: the fastest this build has. */
  backend?: string;
  /**
   * The folder that holds `<variant>/pinhole.mjs` and `<variant>/pinhole.wasm`.
   * Default: the folder `wasm/` beside this module.
   */
  wasmUrl?: string | URL;
  /** Encoded images of more pixels are refused by their header, before they take memory. Default: 100,000,000. */
  maxPixels?: number;
}

export interface EngineInfo {
  variant: Variant;
  threads: number;
  /** The backend in use: 'xnnpack', 'simd' or 'reference'. */
  backend: string;
  /** The backends that this build has. */
  backends: string[];
  /** One line for people: what runs, and on what. */
  description: string;
}

/** What the engine holds at this moment. */
export interface MemoryUse {
  /** Bytes allocated and not freed. */
  bytesInUse: number;
  /** Bytes of the whole WebAssembly memory; it grows and never shrinks. */
  bytesReserved: number;
  datasets: number;
  models: number;
  /** Trainings and evaluations under way. */
  runs: number;
}

/** Upright pixels, 8 bits a channel, not premultiplied, row by row. The browser's `ImageData` is one. */
export interface RgbaImage {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}

/** Upright pixels without an alpha channel, as decode() gives them: height * width * channels bytes, channels last. */
export interface Pixels {
  data: Uint8Array;
  height: number;
  width: number;
  /** 1 (grey) or 3 (RGB). */
  channels: number;
}

/** An encoded image (the bytes of a JPEG, PNG, ... file), or pixels. */
export type ImageSource = Uint8Array | ArrayBuffer | Blob | RgbaImage | Pixels;

/** height, width, channels: as `input` in a model's spec. */
export type InputSize = readonly [height: number, width: number, channels: number];

/** A model's description, the content of `models/*.json`. The core checks it; TypeScript does not list layer types. */
export interface ModelSpec {
  format: string;
  name?: string;
  input: InputSize;
  /** Only the largest part in the middle of a picture that has the proportions of `input` is looked at. Default: the whole. */
  crop?: 'center';
  layers: readonly { type: string; [key: string]: unknown }[];
  [key: string]: unknown;
}

export interface DatasetOptions {
  /** Class names, in label order. */
  classes: readonly string[];
  /** The size that every image is brought to: the model's `input`. */
  input: InputSize;
  /** The model's `crop`. */
  crop?: 'center' | undefined;
}

export interface DatasetItem {
  image: ImageSource;
  /** The index of a class, or its name. */
  label: number | string;
  /** A file name or path, to recognise the image by. */
  name?: string;
}

export interface AddProgress {
  /** Items looked at so far, skipped ones included. */
  done: number;
  total: number;
}

export interface AddOptions {
  onProgress?: (progress: AddProgress) => void;
  /** Stops between two images; those already added stay. */
  signal?: AbortSignal;
  /** The images' buffers are handed over to the engine instead of copied: afterwards they are empty. Default false. */
  transfer?: boolean;
}

/** An image that could not be used. */
export interface SkippedImage {
  name: string;
  /** One sentence. */
  reason: string;
}

export interface AddResult {
  added: number;
  skipped: SkippedImage[];
}

/** What decode() made of an image of this size, upright. */
export interface DecodedPixels extends Pixels {
  imageHeight: number;
  imageWidth: number;
}

export interface DatasetEntry {
  label: number;
  name: string;
}

export interface ModelOptions {
  /** Class names, in label order; as many as the spec tells apart. */
  classes: readonly string[];
  /** Of the initial weights. Default 0. */
  seed?: number;
  /** The file that the spec's "pretrained" names: safetensors. What it does not hold keeps its initial weights. */
  pretrained?: Uint8Array | ArrayBuffer | Blob;
}

export interface LayerSummary {
  name: string;
  type: string;
  /** height, width, channels of its output. */
  output: InputSize;
  parameters: number;
}

export interface ModelSummary {
  name: string;
  input: InputSize;
  classes: string[];
  layers: LayerSummary[];
  parameters: number;
  loss: 'cross_entropy' | 'binary_cross_entropy';
}

export interface Prediction {
  label: string;
  probability: number;
}

/** Where a model looked: from 0 to 1, row by row, at the resolution of its last output with a height and a width. */
export interface HeatMap {
  data: Float32Array;
  height: number;
  width: number;
}

export type OptimizerName = 'sgd' | 'adam' | 'adamw';

/** torch.optim.lr_scheduler's formulas, a step at a time; times are in epochs. */
export interface Schedule {
  type: 'constant' | 'step' | 'cosine' | 'one_cycle';
  /** For 'step': after so many epochs the rate is multiplied by gamma. Defaults 1 and 0.1. */
  step_size?: number;
  gamma?: number;
  /** For 'cosine': the rate it ends with. Default 0. */
  eta_min?: number;
  /** For 'one_cycle'. Defaults 0.3, 25 and 10000. */
  pct_start?: number;
  div_factor?: number;
  final_div_factor?: number;
  /** The rate first rises for so many epochs, from lr * warmup_start. Defaults 0 and 1/3. */
  warmup_epochs?: number;
  warmup_start?: number;
}

/** One of torchvision's: RandomHorizontalFlip, RandomCrop, RandomResizedCrop, RandomAffine, ColorJitter, RandomErasing. */
export interface AugmentTransform {
  type: string;
  [parameter: string]: unknown;
}

/** Which of its many looks an augmented picture shows: the same numbers, the same picture. */
export interface AugmentedOptions {
  /** Default 0. */
  seed?: number;
  /** From 1, the default. */
  epoch?: number;
}

export interface TrainSettings {
  /** The content of a recipe file (models/*.recipe.json). The settings beside it take precedence. */
  recipe?: Readonly<Record<string, unknown>>;
  /** Default constant. */
  schedule?: Schedule;
  /** The part of each target that is spread over all classes. Default 0. */
  labelSmoothing?: number;
  /** mixup and cutmix: the images of a batch are mixed with shares from a Beta distribution, 0 to 4. Default 0: they are not. */
  mixupAlpha?: number;
  cutmixAlpha?: number;
  /** One a class, or 'balanced': classes with few images count as much as those with many. Default: all alike. */
  classWeights?: readonly number[] | 'balanced';
  /** Gradients whose norm is above this are scaled down to it. Default 0: none are. */
  clipGradNorm?: number;
  /** Validate and keep a moving average of the weights with this decay. Default 0: the weights themselves. */
  emaDecay?: number;
  /** Ends after so many epochs without a better validation, and keeps the best. Default 0: never. */
  patience?: number;
  /** Random changes of the training images. Default none. */
  augment?: readonly AugmentTransform[];
  /**
   * So many looks of each image, one an epoch in turn: what frozen layers make of them is computed once, before the first step.
   * Default 0: a new look every epoch.
   */
  augmentViews?: number;
  /**
   * A model whose frozen layers leave one Linear to train starts as the nearest-class-mean classifier, which is a first answer
   * (TrainOptions' onFirstAnswer); not when it was trained before. Default false: from the weights it has.
   */
  nearestMeanStart?: boolean;
  /** Default 10. */
  epochs?: number;
  /** Default 32. */
  batchSize?: number;
  /** Default 'adam'. */
  optimizer?: OptimizerName;
  /** Default 1e-3. */
  lr?: number;
  /** For 'sgd'. Default 0.9. */
  momentum?: number;
  /** For 'sgd'. Default false. */
  nesterov?: boolean;
  /** Default 0. */
  weightDecay?: number;
  /** Of the order of the images and of Dropout. Default 0. */
  seed?: number;
  /** Default true. */
  shuffle?: boolean;
  /**
   * Which weights the model has when the training has ended or was stopped: the last, or those of the epoch with the highest
   * validation accuracy (of equals, the one with the lowest validation loss). Default 'last'; without a validation set always that.
   */
  keep?: 'last' | 'best';
}

export interface StepEvent {
  /** From 1, over all epochs. */
  step: number;
  /** From 1. */
  epoch: number;
  /** Mean over the batch, before the update. */
  loss: number;
  /** The learning rate of its update. */
  lr: number;
  /** Images in this batch. */
  images: number;
  /** How many of them were predicted right, before the update. */
  correct: number;
  /** Of this step alone, evaluation and waiting not counted. */
  imagesPerSecond: number;
}

/** With resumeFrom, before anything else. */
export interface ResumeEvent {
  /** Whole epochs that are done, and steps. */
  epochs: number;
  steps: number;
  /** A sentence, where other kernels or another build computed a part of it: what comes out differs in its last digits then. */
  inexact?: string;
}

/** With nearestMeanStart, before the first step. classify() gives its answers from here on. */
export interface FirstAnswerEvent {
  /** Only when a validation set was given. */
  valLoss?: number;
  valAccuracy?: number;
}

export interface EpochEvent {
  /** From 1. */
  epoch: number;
  /** Mean over the images of the epoch, each taken in its step, before the update. */
  trainLoss: number;
  trainAccuracy: number;
  /** Only when a validation set was given. */
  valLoss?: number;
  valAccuracy?: number;
  /** Of training, validation not counted; 0 for an epoch from before a resume. */
  seconds: number;
}

/** All that a training needs to go on later: keep the bytes wherever they survive. */
export interface TrainingStateEvent {
  /** A file that `resumeFrom` and `native_train --resume` take. */
  state: Uint8Array;
  /** Steps taken, and the epoch they are in. */
  step: number;
  epoch: number;
}

/** What a training state says of itself. */
export interface TrainingStateInfo {
  spec: ModelSpec;
  classes: string[];
  epochs: number;
  /** Epochs that are done. */
  epochsDone: number;
  step: number;
  /** The options in use, in the words of a recipe file. */
  recipe: Record<string, unknown>;
}

export interface History {
  /** The epochs that were finished. */
  epochs: EpochEvent[];
  /** Steps taken, those of an unfinished epoch included. */
  steps: number;
  /** Stopped before all epochs were done. */
  stopped: boolean;
  /** Of training, validation not counted. */
  seconds: number;
  /** With `keep: 'best'` and a validation set: the epoch whose weights the model has; 0 when none was finished. */
  bestEpoch?: number;
}

/** What comes before the first step of a model with frozen layers: they see every look of every image once. */
export interface PreparingProgress {
  done: number;
  total: number;
}

export interface EvaluationProgress {
  done: number;
  total: number;
}

export interface EvaluateOptions {
  batchSize?: number;
  onProgress?: (progress: EvaluationProgress) => void;
  signal?: AbortSignal;
}

export interface ClassScore {
  label: string;
  /** Of what was called this class, the part that is; NaN when nothing was. */
  precision: number;
  /** Of what is this class, the part that was called so; NaN when there is none. */
  recall: number;
}

export interface Evaluation {
  /** Mean over the images. */
  loss: number;
  accuracy: number;
  /** confusion[label][predicted]: how many images. */
  confusion: number[][];
  perClass: ClassScore[];
  /** Of every image in the data set's order: as many values each as there are classes. */
  probabilities: Float32Array;
}

/** Free-form facts that are kept in the saved file: data, options, results. */
export type TrainingRecord = Record<string, unknown>;

/**
 * What an ONNX file takes. `network`: input `input`, float [batch, channels, height, width] in [0, 1], at the model's size.
 * `classifier`: input `image`, uint8 RGB [batch, height, width, 3] of any size; resizing and scaling are inside.
 */
export type OnnxForm = 'network' | 'classifier';

export interface OnnxOptions {
  /** Default: 'network'. */
  form?: OnnxForm;
}

export interface HtmlOptions {
  /** Default: the model's name. */
  title?: string;
  /** A sentence below the title. Default: which classes it tells apart. */
  about?: string;
  /** Answers with a lower probability are called "not sure". Default: what its training found, or 0. */
  threshold?: number;
  /** Where the file's own script is: htmlRuntime.js, by default beside this module. */
  runtimeUrl?: string | URL;
}

export interface TorchOptions {
  /** The name of the weights file beside the Python file. Default: 'model.safetensors'. */
  weights?: string;
}
