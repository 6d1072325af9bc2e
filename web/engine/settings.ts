// Checks of numbers that come from JavaScript: Embind would turn a wrong one into another number without a word.

import type { CoreTrainOptions } from './core.js';
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

export interface CheckedSettings extends CoreTrainOptions {
  epochs: number;
  keep: 'last' | 'best';
}

function oneOf<Word extends string>(name: string, value: unknown, words: readonly [Word, ...Word[]]): Word {
  if (value === undefined) return words[0];
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw new Error(`${name} expected ${words.map((word) => `'${word}'`).join(' or ')}, got ${shown(value)}`);
}

/** With the defaults that native_train has. */
export function checkedSettings(settings: TrainSettings): CheckedSettings {
  return {
    epochs: wholeNumber('epochs', settings.epochs, 10, 1),
    batchSize: wholeNumber('batchSize', settings.batchSize, 32, 1),
    optimizer: settings.optimizer ?? 'adam',
    lr: number('lr', settings.lr, 1e-3),
    momentum: number('momentum', settings.momentum, 0.9),
    nesterov: flag('nesterov', settings.nesterov, false),
    weightDecay: number('weightDecay', settings.weightDecay, 0),
    seed: seedNumber(settings.seed),
    shuffle: flag('shuffle', settings.shuffle, true),
    keep: oneOf('keep', settings.keep, ['last', 'best']),
  };
}

/** The index of a class that was given by index or by name. */
export function labelIndex(label: unknown, classes: readonly string[]): number {
  if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes.length) return label;
  const index = typeof label === 'string' ? classes.indexOf(label) : -1;
  if (index >= 0) return index;
  throw new Error(`label expected one of ${classes.join(', ')} or its index, got ${shown(label)}`);
}
