// Checks of numbers that come from JavaScript: Embind would turn a wrong one into another number without a word.

import type { TrainSettings } from './types.js';

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

const largestInt = 2 ** 31 - 1;

function number(name: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new Error(`${name} expected a number, got ${shown(value)}`);
}

export function wholeNumber(name: string, value: unknown, fallback: number, minimum: number): number {
  const whole = number(name, value, fallback);
  if (Number.isInteger(whole) && whole >= minimum && whole <= largestInt) return whole;
  throw new Error(`${name} expected a whole number of ${minimum} or more, got ${whole}`);
}

/** Beyond 2^53 two seeds could be one. */
export function seedNumber(value: unknown): number {
  const seed = number('seed', value, 0);
  if (Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw new Error(`seed expected a whole number of 0 or more, got ${seed}`);
}

function flag(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw new Error(`${name} expected true or false, got ${shown(value)}`);
}

function oneOf<Word extends string>(name: string, value: unknown, words: readonly Word[]): Word {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw new Error(`${name} expected ${words.map((word) => `'${word}'`).join(' or ')}, got ${shown(value)}`);
}

function optional<Value>(value: unknown, check: (value: unknown) => Value): Value | undefined {
  return value === undefined ? undefined : check(value);
}

/** The settings that were given, in the words of a recipe file; the core knows the defaults. */
export function recipeOf(settings: TrainSettings): Record<string, unknown> {
  const whole = (name: string) => (value: unknown) => wholeNumber(name, value, 0, 1);
  const real = (name: string) => (value: unknown) => number(name, value, 0);
  const yes = (name: string) => (value: unknown) => flag(name, value, false);
  const optimizer = {
    name: settings.optimizer,
    lr: optional(settings.lr, real('lr')),
    weight_decay: optional(settings.weightDecay, real('weightDecay')),
    momentum: optional(settings.momentum, real('momentum')),
    nesterov: optional(settings.nesterov, yes('nesterov')),
  };
  const given = {
    epochs: optional(settings.epochs, whole('epochs')),
    batch_size: optional(settings.batchSize, whole('batchSize')),
    schedule: settings.schedule,
    label_smoothing: optional(settings.labelSmoothing, real('labelSmoothing')),
    mixup_alpha: optional(settings.mixupAlpha, real('mixupAlpha')),
    cutmix_alpha: optional(settings.cutmixAlpha, real('cutmixAlpha')),
    class_weights: settings.classWeights,
    clip_grad_norm: optional(settings.clipGradNorm, real('clipGradNorm')),
    ema_decay: optional(settings.emaDecay, real('emaDecay')),
    patience: optional(settings.patience, (value) => wholeNumber('patience', value, 0, 0)),
    augment: settings.augment,
    augment_views: optional(settings.augmentViews, (value) => wholeNumber('augmentViews', value, 0, 0)),
    nearest_mean_start: optional(settings.nearestMeanStart, yes('nearestMeanStart')),
    seed: optional(settings.seed, seedNumber),
    shuffle: optional(settings.shuffle, yes('shuffle')),
    keep: optional(settings.keep, (value) => oneOf('keep', value, ['last', 'best'])),
  };
  const present = (object: object): object =>
    Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
  const { recipe = {} } = settings;
  return {
    ...recipe,
    ...present(given),
    optimizer: { ...(recipe.optimizer as object | undefined), ...present(optimizer) },
  };
}

/** The index of a class that was given by index or by name. */
export function labelIndex(label: unknown, classes: readonly string[]): number {
  if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes.length) return label;
  const index = typeof label === 'string' ? classes.indexOf(label) : -1;
  if (index >= 0) return index;
  throw new Error(`label expected one of ${classes.join(', ')} or its index, got ${shown(label)}`);
}
