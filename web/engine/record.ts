// The training record that a saved file carries, in the words of native_train's. Counts and options only: nothing about the
// machine, no file names, which are nobody's business but the owner's.

import type { CoreRecipe } from './core.js';
import type { EngineInfo, History, TrainingRecord } from './types.js';

export interface RecordFacts {
  info: EngineInfo;
  recipe: CoreRecipe;
  /** The model had been trained before, or came from a file. */
  init: boolean;
  history: History;
  classes: readonly string[];
  trainCounts: readonly number[];
  valCounts: readonly number[] | undefined;
}

export function trainingRecord({
  info,
  recipe,
  init,
  history,
  classes,
  trainCounts,
  valCounts,
}: RecordFacts): TrainingRecord {
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
  const byClass = (counts: readonly number[]): Record<string, number> =>
    Object.fromEntries(classes.map((name, c) => [name, counts[c] ?? 0]));
  const { optimizer } = recipe;
  const lastEpoch = history.epochs.at(-1);
  return {
    program: `pinhole (WebAssembly, ${info.variant})`,
    backend: info.backend,
    data: {
      kind: 'images',
      train_images: sum(trainCounts),
      val_images: valCounts ? sum(valCounts) : 0,
      train_images_of_class: byClass(trainCounts),
      ...(valCounts && { val_images_of_class: byClass(valCounts) }),
    },
    options: {
      epochs: recipe.epochs,
      batch_size: recipe.batch_size,
      optimizer: {
        name: optimizer.name,
        lr: optimizer.lr,
        weight_decay: optimizer.weight_decay,
        ...(optimizer.name === 'sgd' && { momentum: optimizer.momentum, nesterov: optimizer.nesterov }),
      },
      seed: recipe.seed,
      shuffle: recipe.shuffle,
      init,
    },
    recipe,
    history: history.epochs.map((epoch) => ({
      epoch: epoch.epoch,
      train_loss: epoch.trainLoss,
      train_accuracy: epoch.trainAccuracy,
      ...(epoch.valLoss !== undefined && { val_loss: epoch.valLoss, val_accuracy: epoch.valAccuracy }),
    })),
    ...(history.bestEpoch !== undefined && { best_epoch: history.bestEpoch }),
    ...(history.stopped && { stopped: { epoch: (lastEpoch?.epoch ?? 0) + 1, step: history.steps } }),
  };
}
