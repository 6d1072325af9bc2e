// The whole state of the page, in one place. Components read these signals; only the functions in actions/ write them.
// Values are replaced, never changed in place, so that "what was before" can be kept (undo) and compared.
import { computed, signal } from '@preact/signals';

export interface Photo {
  readonly id: number;
  readonly name: string;
  readonly file: Blob;
  /** Object URL of a small picture. */
  readonly thumbnail: string;
  /** Of sample photos: whose it is. */
  readonly credit?: Credit;
}

export interface Credit {
  readonly author: string;
  readonly source: string;
  readonly licence: string;
}

export interface PhotoClass {
  readonly id: number;
  readonly name: string;
  readonly photos: readonly Photo[];
}

export const classes = signal<readonly PhotoClass[]>([]);
export const photoCount = computed(() => classes.value.reduce((sum, { photos }) => sum + photos.length, 0));

/** The classes before the last deletion, and what was deleted in words. */
export const undoable = signal<{ readonly before: readonly PhotoClass[]; readonly what: string } | null>(null);

/** Files being read, while they are. */
export const reading = signal<{ readonly done: number; readonly total: number } | null>(null);

export interface ReadReport {
  readonly added: number;
  readonly cancelled: boolean;
  /** Files that look like something else than a picture, left out of a folder. */
  readonly ignored: number;
  readonly unreadable: readonly { readonly name: string; readonly message: string }[];
  readonly emptyClasses: readonly string[];
}
export const readReport = signal<ReadReport | null>(null);

export type EngineState =
  | { readonly status: 'starting' }
  | { readonly status: 'ready'; readonly runs: string; readonly details: string }
  | { readonly status: 'failed'; readonly message: string };
export const engineState = signal<EngineState>({ status: 'starting' });

export type ModelId = 'multiclass_cnn' | 'binary_cnn' | 'fashion_cnn';
export type OptimizerName = 'adam' | 'adamw' | 'sgd';

export interface Settings {
  readonly model: ModelId;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly optimizer: OptimizerName;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly validationSplit: number;
  readonly seed: number;
}
export const defaultSettings: Settings = {
  model: 'multiclass_cnn',
  epochs: 10,
  batchSize: 16,
  learningRate: 1e-3,
  optimizer: 'adam',
  momentum: 0.9,
  weightDecay: 0,
  validationSplit: 0.2,
  seed: 0,
};
export const settings = signal<Settings>(defaultSettings);

export type Phase = 'idle' | 'preparing' | 'training' | 'stopping' | 'finished' | 'stopped' | 'failed';
export const phase = signal<Phase>('idle');
export const isBusy = computed(() => ['preparing', 'training', 'stopping'].includes(phase.value));

/** Images on their way into the engine, while `phase` is 'preparing'. */
export const preparing = signal<{ readonly done: number; readonly total: number } | null>(null);

export interface Progress {
  readonly epoch: number;
  readonly epochs: number;
  /** Share of the whole run, 0 to 1. */
  readonly share: number;
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}
export const progress = signal<Progress | null>(null);

export interface StepPoint {
  /** In epochs: 1.5 is the middle of the second. */
  readonly at: number;
  readonly loss: number;
}
export interface EpochPoint {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  /** null when nothing was held out. */
  readonly validationLoss: number | null;
  readonly validationAccuracy: number | null;
  readonly seconds: number;
}
export interface History {
  /** Epochs this training was started for. */
  readonly planned: number;
  readonly steps: readonly StepPoint[];
  readonly epochs: readonly EpochPoint[];
}
export const history = signal<History>({ planned: 0, steps: [], epochs: [] });

export interface Report {
  readonly classes: readonly string[];
  readonly images: number;
  readonly accuracy: number;
  /** confusion[label][predicted] */
  readonly confusion: readonly (readonly number[])[];
  readonly precision: readonly number[];
  readonly recall: readonly number[];
}
export const report = signal<Report | null>(null);

/** The model that classifies: the one just trained, or one that was opened. */
export interface CurrentModel {
  readonly name: string;
  readonly classes: readonly string[];
  readonly input: string;
  readonly parameters: number;
  readonly origin: 'trained' | 'opened';
  readonly fileName: string;
  readonly validationAccuracy: number | null;
}
export const currentModel = signal<CurrentModel | null>(null);

export interface Prediction {
  readonly id: number;
  readonly name: string;
  readonly picture: string;
  readonly probabilities: readonly { readonly label: string; readonly probability: number }[];
}
export const predictions = signal<readonly Prediction[]>([]);
export const shownPrediction = signal<number | null>(null);
export const classifying = signal(false);

/** What went wrong, kept beside the control that caused it. */
export type Place = 'data' | 'training' | 'model' | 'classify';
export const errors = signal<Readonly<Partial<Record<Place, readonly string[]>>>>({});

/** Said to screen readers. */
export const announcement = signal('');
