// The training settings and what makes them impossible.
import { offeredModel } from '../models';
import type { AugmentationId, Settings } from '../settings';
import { chosenSettings, classes, settings } from '../state';

export function changeSettings(change: Partial<Settings>): void {
  chosenSettings.value = { ...chosenSettings.value, ...change };
}

/** Everything follows the images again. */
export function resetSettings(): void {
  chosenSettings.value = {};
}

export type NumberSetting =
  | 'imageSize'
  | 'epochs'
  | 'batchSize'
  | 'learningRate'
  | 'momentum'
  | 'weightDecay'
  | 'warmupEpochs'
  | 'labelSmoothing'
  | 'patience'
  | 'validationSplit'
  | 'seed';

/** Adds a way to change training images, or takes it away. */
export function toggleAugmentation(id: AugmentationId): void {
  const chosen = settings.value.augmentations;
  changeSettings({ augmentations: chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id] });
}

interface Rule {
  readonly whole: boolean;
  readonly accepts: (value: number) => boolean;
  readonly expected: string;
}

const rules: Record<NumberSetting, Rule> = {
  imageSize: {
    whole: true,
    accepts: (value) => value >= 8 && value <= 512,
    expected: 'a whole number from 8 to 512',
  },
  epochs: {
    whole: true,
    accepts: (value) => value >= 1 && value <= 10_000,
    expected: 'a whole number from 1 to 10,000',
  },
  batchSize: {
    whole: true,
    accepts: (value) => value >= 1 && value <= 4096,
    expected: 'a whole number from 1 to 4,096',
  },
  learningRate: { whole: false, accepts: (value) => value > 0 && value <= 10, expected: 'a number above 0, up to 10' },
  momentum: { whole: false, accepts: (value) => value >= 0 && value < 1, expected: 'a number from 0, below 1' },
  weightDecay: { whole: false, accepts: (value) => value >= 0 && value <= 10, expected: 'a number from 0 to 10' },
  warmupEpochs: { whole: false, accepts: (value) => value >= 0 && value <= 1000, expected: 'a number from 0 to 1,000' },
  labelSmoothing: { whole: false, accepts: (value) => value >= 0 && value < 1, expected: 'a number from 0, below 1' },
  patience: {
    whole: true,
    accepts: (value) => value >= 0 && value <= 10_000,
    expected: 'a whole number from 0 to 10,000',
  },
  validationSplit: { whole: false, accepts: (value) => value >= 0 && value <= 0.9, expected: 'a number from 0 to 0.9' },
  seed: {
    whole: true,
    accepts: (value) => value >= 0 && value <= Number.MAX_SAFE_INTEGER,
    expected: 'a whole number from 0',
  },
};

/** What is wrong with a value; null when nothing is. */
export function problemWith(setting: NumberSetting, value: number | 'model'): string | null {
  const { whole, accepts, expected } = rules[setting];
  if (value === 'model') return null;
  return Number.isFinite(value) && (!whole || Number.isInteger(value)) && accepts(value)
    ? null
    : `Expected ${expected}.`;
}

/** The first thing that stands in the way of training, as one sentence; null when nothing does. */
export function obstacle(): string | null {
  const all = classes.value;
  if (all.every(({ photos }) => photos.length === 0)) return 'Add images of at least two classes first.';
  if (all.length < 2) return 'Add a second class: a classifier needs two or more.';
  const empty = all.filter(({ photos }) => photos.length === 0);
  if (empty.length > 0)
    return `Add images to ${empty.map(({ name }) => name).join(', ')}, or delete ${empty.length === 1 ? 'that class' : 'those classes'}.`;
  const model = offeredModel(settings.value.model);
  if (model.refuses(all.length))
    return `${model.name} tells exactly two classes apart; there are ${all.length}. Choose another model.`;
  const wrong = (Object.keys(rules) as NumberSetting[]).find(
    (setting) => problemWith(setting, settings.value[setting]) !== null,
  );
  return wrong ? 'Correct the setting that is marked above.' : null;
}
