// The whole state of the page, in one place. Components read these signals; only the functions in actions/ write them.
// Values are replaced, never changed in place, so that "what was before" can be kept (undo) and compared.
import { computed, signal } from '@preact/signals';
import type { Duplicates } from './advice/duplicates';
import type { Answer } from './evaluation/answers';
import type { Threshold } from './evaluation/threshold';
import type { Settings } from './settings';
import { suggestSettings } from './suggestions';

/** A photo of the project. Its thumbnail, picture and pixels are in the store, under its id. */
export interface Photo {
  readonly id: number;
  readonly name: string;
  /** Equal files have equal ones. */
  readonly exact: string;
  /** What it looks like: files that show the same differ in few bits (files/fingerprint.ts). */
  readonly look: string;
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

export interface Change {
  /** The classes as they were. */
  readonly before: readonly PhotoClass[];
  readonly what: string;
}
/** What was changed in the classes, the latest last. */
export const undoStack = signal<readonly Change[]>([]);
/** A change whose offer to undo it was sent away. */
export const dismissedChange = signal<Change | null>(null);

/** The project of the last visit is on its way out of the store. */
export const isOpening = signal(true);
/** Why this project will be gone with the page; null when it is kept. */
export const notKept = signal<string | null>(null);

/** Photos that are there twice or look alike, a moment after the latest change. */
export const duplicates = signal<Duplicates>({ exact: [], alike: [] });

/** The class whose camera is open. */
export const webcamFor = signal<number | null>(null);

/** Files being read, while they are. */
export const reading = signal<{ readonly done: number; readonly total: number } | null>(null);

/** Files that have been put into the project's zip, while it is made. */
export const saving = signal<{ readonly done: number; readonly total: number } | null>(null);

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
  | {
      readonly status: 'ready';
      readonly threads: number;
      /** The build that runs can have more than one. */
      readonly hasThreads: boolean;
      readonly runs: string;
      readonly details: string;
    }
  | { readonly status: 'failed'; readonly message: string };
export const engineState = signal<EngineState>({ status: 'starting' });

/** What the user has set; everything else follows the images. */
export const chosenSettings = signal<Partial<Settings>>({});
/** What suits the images at hand, and the model. */
export const suggestedSettings = computed(() =>
  suggestSettings(
    classes.value.map(({ photos }) => photos.length),
    chosenSettings.value.model,
  ),
);
export const settings = computed<Settings>(() => ({ ...suggestedSettings.value, ...chosenSettings.value }));

/** One photo as a training with these settings may see it, time and again. */
export interface AugmentPreview {
  readonly name: string;
  readonly looks: readonly {
    readonly data: Uint8ClampedArray<ArrayBuffer>;
    readonly width: number;
    readonly height: number;
  }[];
}
export const augmentPreview = signal<AugmentPreview | null>(null);

/** What a training with these settings will take on this device, from a short measurement. */
export type Estimate =
  | { readonly status: 'measuring' }
  | {
      readonly status: 'measured';
      readonly seconds: number;
      readonly bytes: number;
      /** What the tab may take, as far as one can know. */
      readonly limit: number;
    }
  | { readonly status: 'failed'; readonly message: string };
export const estimate = signal<Estimate | null>(null);

/** 'interrupted': the page was closed, or crashed, while it trained. */
export type Phase =
  | 'idle'
  | 'preparing'
  | 'training'
  | 'paused'
  | 'stopping'
  | 'validating'
  | 'finished'
  | 'stopped'
  | 'interrupted'
  | 'failed';
export const phase = signal<Phase>('idle');
export const isBusy = computed(() =>
  ['preparing', 'training', 'paused', 'stopping', 'validating'].includes(phase.value),
);

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
  /** What it took until now, frozen layers included and pauses left out. Projects from before do not have it. */
  readonly seconds?: number;
}
export const history = signal<History>({ planned: 0, steps: [], epochs: [] });

/** What a training took. */
export function secondsOf({ seconds, epochs }: History): number {
  return seconds ?? epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
}

/** What the training under way, or the latest, could say before its first step: the nearest class mean of a frozen trunk's features. */
export interface FirstAnswer {
  /** Since the training was started. */
  readonly seconds: number;
  /** On what was held out; null when nothing was. */
  readonly accuracy: number | null;
}
export const firstAnswer = signal<FirstAnswer | null>(null);
/** Other kernels or another build computed a part of the training under way, or the latest: its last digits are not those of an uninterrupted one. */
export const isInexact = signal(false);
/** The model in training may be tried already, because there is no other yet. */
export const isLent = signal(false);

/** The epoch whose weights the model has; null while it trains and where nothing was held out. */
export const bestEpoch = signal<number | null>(null);

/** A training that was ended because its loss exploded, and a learning rate that may do better. */
export const diverged = signal<{
  readonly epoch: number;
  readonly learningRate: number;
  readonly suggestion: number;
} | null>(null);

/** A training that can be taken up again where its state was taken, by a page that was closed meanwhile too. */
export interface KeptTraining {
  /** The engine's file: weights, optimizer, where it stands in its epoch. */
  readonly state: Uint8Array;
  readonly settings: Settings;
  /** Up to the state. */
  readonly history: History;
  /** The classes when it began. */
  readonly classes: readonly PhotoClass[];
  /** The ids of the photos of both parts, in their order: the state belongs to these very parts. */
  readonly split: { readonly train: readonly number[]; readonly val: readonly number[] };
}
/** Of the training under way, of one that was stopped or of one that its page did not live to end; null when it has finished. */
export const keptTraining = signal<KeptTraining | null>(null);
/** Its photos are where they were when it began: it can go on. */
export const keptTrainingFits = computed(() => {
  const kept = keptTraining.value;
  return kept !== null && membership(kept.classes) === membership(classes.value);
});

/** How the model did on the images that were held out. */
export interface Report {
  readonly classes: readonly { readonly id: number; readonly name: string }[];
  readonly answers: readonly Answer[];
  readonly right: number;
  readonly images: number;
  readonly accuracy: number;
  readonly loss: number;
  /** confusion[label][predicted] */
  readonly confusion: readonly (readonly number[])[];
  readonly precision: readonly number[];
  readonly recall: readonly number[];
  /** Fitted on the same images: what makes the probabilities honest, and below which the model had better not answer. */
  readonly temperature: number;
  readonly threshold: Threshold;
}
export const report = signal<Report | null>(null);

/** Which photo was in which class when the latest training began. */
export const trainedOn = signal<readonly PhotoClass[] | null>(null);
/** Photos were added, removed or moved since. */
export const dataHasChanged = computed(() => {
  const before = trainedOn.value;
  return before !== null && before !== classes.value && membership(before) !== membership(classes.value);
});

/** Where every photo is now, by its id. */
export const photoPlaces = computed(
  () =>
    new Map(
      classes.value.flatMap((photoClass) =>
        photoClass.photos.map((photo) => [photo.id, { photo, photoClass }] as const),
      ),
    ),
);

function membership(all: readonly PhotoClass[]): string {
  return all.map(({ id, photos }) => `${id}:${photos.map((photo) => photo.id).join()}`).join(';');
}

/** Training and testing once for each of several folds. */
export interface CrossValidation {
  readonly folds: number;
  /** Accuracy of those that are done. */
  readonly accuracies: readonly number[];
  readonly right: number;
  readonly images: number;
  readonly running: boolean;
}
export const crossValidation = signal<CrossValidation | null>(null);

/** The model that classifies: the one just trained, or one that was opened. */
export interface CurrentModel {
  readonly name: string;
  readonly classes: readonly string[];
  readonly input: string;
  readonly parameters: number;
  readonly origin: 'trained' | 'opened';
  readonly fileName: string;
  /** It looks at the middle of a picture only; absent in what older versions kept. */
  readonly isCropping?: boolean;
  readonly validationAccuracy: number | null;
  /** From its training: below this probability it is not sure, and the temperature that makes probabilities honest. */
  readonly threshold: number;
  readonly temperature: number;
}
export const currentModel = signal<CurrentModel | null>(null);

export interface LabelledProbability {
  readonly label: string;
  readonly probability: number;
}
export interface Prediction {
  readonly id: number;
  readonly name: string;
  readonly file: Blob;
  readonly picture: string;
  readonly probabilities: readonly LabelledProbability[];
}
/** The latest first. */
export const predictions = signal<readonly Prediction[]>([]);
export const shownPrediction = signal<number | null>(null);
/** Pictures being classified, while they are. */
export const classifying = signal<{ readonly done: number; readonly total: number } | null>(null);
/** Show the probabilities as temperature scaling has them. */
export const isCalibrated = signal(false);

/** What in a picture speaks for its label; drawn over the picture with that id. */
export interface ShownHeatMap {
  readonly id: number;
  readonly label: string;
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}
export const showsHeatMap = signal(false);
export const heatMap = signal<ShownHeatMap | null>(null);

/** The model as Python, while it is shown. */
export const torchSource = signal<{ readonly text: string; readonly fileName: string } | null>(null);

/** What is being put together to be taken away. */
export const takingAway = signal<string | null>(null);

/** What the camera sees, as long as it is on. */
export const liveAnswer = signal<readonly LabelledProbability[] | null>(null);

/** What left the device since everything was loaded. */
export interface Sent {
  readonly bytes: number;
  readonly requests: number;
  /** Requests that the Content-Security-Policy stopped. */
  readonly refused: number;
  /** Who counts; null while the page is still loading. */
  readonly measuredBy: 'service worker' | 'page' | null;
}
export const sent = signal<Sent>({ bytes: 0, requests: 0, refused: 0, measuredBy: null });

/** What went wrong, kept beside the control that caused it. */
export type Place = 'data' | 'training' | 'evaluation' | 'model' | 'classify';
export const errors = signal<Readonly<Partial<Record<Place, readonly string[]>>>>({});

/** Said to screen readers. */
export const announcement = signal('');
