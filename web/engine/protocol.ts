// What the page's side (client.ts) and the worker (worker.ts) say to each other. Every message carries the id of the
// call it belongs to; handles are numbers that the worker gives out.

import type {
  DecodedPixels,
  AddProgress,
  AddResult,
  AugmentedOptions,
  AugmentTransform,
  DatasetEntry,
  DatasetItem,
  DatasetOptions,
  EngineInfo,
  EpochEvent,
  Evaluation,
  EvaluationProgress,
  FirstAnswerEvent,
  PreparingProgress,
  HeatMap,
  History,
  ImageSource,
  InputSize,
  LoadOptions,
  MemoryUse,
  ModelSpec,
  ModelSummary,
  OnnxForm,
  Prediction,
  ResumeEvent,
  StepEvent,
  TrainSettings,
  TrainingRecord,
  TrainingStateEvent,
} from './types.js';

export type Handle = number;

export interface ModelCreated {
  model: Handle;
  summary: ModelSummary;
  spec: ModelSpec;
  /** The training record of a loaded file; empty for a new model. */
  training: TrainingRecord;
}

/** Every call the worker answers: what it takes and what it gives. */
export interface Calls {
  load: { takes: Omit<LoadOptions, 'wasmUrl'> & { wasmUrl: string }; gives: EngineInfo };
  memory: { takes: object; gives: MemoryUse };
  decode: {
    takes: { image: ImageSource; input: InputSize };
    gives: Pick<DecodedPixels, 'data' | 'imageHeight' | 'imageWidth'>;
  };

  createDataset: { takes: DatasetOptions; gives: Handle };
  addImages: { takes: { dataset: Handle; items: DatasetItem[] }; gives: AddResult & { size: number } };
  splitDataset: { takes: { dataset: Handle; valFraction: number; seed: number }; gives: { train: Part; val: Part } };
  subsetDataset: { takes: { dataset: Handle; indices: number[] }; gives: Part };
  counts: { takes: { dataset: Handle }; gives: number[] };
  augmented: {
    takes: { dataset: Handle; index: number; augment: readonly AugmentTransform[] } & AugmentedOptions;
    gives: Uint8Array;
  };
  entries: { takes: { dataset: Handle }; gives: DatasetEntry[] };
  pixels: { takes: { dataset: Handle; index: number }; gives: Uint8Array };
  disposeDataset: { takes: { dataset: Handle }; gives: undefined };

  createModel: {
    takes: { spec: ModelSpec; classes: string[]; seed: number; pretrained?: Uint8Array | ArrayBuffer | Blob };
    gives: ModelCreated;
  };
  loadModel: { takes: { file: Uint8Array | ArrayBuffer | Blob; name: string }; gives: ModelCreated };
  saveModel: { takes: { model: Handle; training: TrainingRecord }; gives: Uint8Array };
  exportOnnx: { takes: { model: Handle; form: OnnxForm; training: TrainingRecord }; gives: Uint8Array };
  exportTorch: { takes: { model: Handle; weights: string }; gives: string };
  classify: { takes: { model: Handle; image: ImageSource }; gives: Prediction[] };
  heatMap: { takes: { model: Handle; image: ImageSource; label: number | string }; gives: HeatMap };
  train: {
    takes: {
      model: Handle;
      data: Handle;
      val?: Handle;
      settings: TrainSettings;
      resumeFrom?: Uint8Array | ArrayBuffer | Blob;
      keepStates: boolean;
      stateSteps?: number;
      stateSeconds?: number;
      leastStateSeconds?: number;
    };
    gives: { history: History; training: TrainingRecord };
  };
  evaluate: { takes: { model: Handle; data: Handle; batchSize: number }; gives: Evaluation };
  disposeModel: { takes: { model: Handle }; gives: undefined };
}

export interface Part {
  dataset: Handle;
  size: number;
}

export type CallName = keyof Calls;

/** To the worker: a call. */
export type CallMessage = {
  [Name in CallName]: { kind: 'call'; id: number; name: Name; takes: Calls[Name]['takes'] };
}[CallName];

/** To the worker: end the call `id` early. Trainings and additions give what they have done so far; an evaluation fails. */
export interface StopMessage {
  kind: 'stop';
  id: number;
}

/** To the worker: hold the training `id` between two steps, or let it go on. Other calls are answered meanwhile. */
export interface PauseMessage {
  kind: 'pause' | 'resume';
  id: number;
}

export type ToWorker = CallMessage | StopMessage | PauseMessage;

/** From the worker, while a call runs. Steps come in small batches, so that a fast training does not flood the page. */
export type Progress =
  | { type: 'training'; steps: StepEvent[]; epoch?: EpochEvent }
  | ({ type: 'state' } & TrainingStateEvent)
  | { type: 'preparing'; at: PreparingProgress }
  | { type: 'resumed'; event: ResumeEvent }
  | { type: 'firstAnswer'; event: FirstAnswerEvent }
  | { type: 'evaluating'; at: EvaluationProgress }
  | { type: 'adding'; at: AddProgress };

export type FromWorker =
  | { kind: 'result'; id: number; gives: Calls[CallName]['gives'] }
  | { kind: 'error'; id: number; message: string }
  | { kind: 'progress'; id: number; progress: Progress }
  /** Said again and again while the engine is loading. */
  | { kind: 'loading' };
