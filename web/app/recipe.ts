// The settings of the page in the engine's words. What is left at its default is not named.
import type { TrainSettings } from '../engine/index';
import { transformsOf } from './augmentations';
import { offeredModel } from './models';
import type { Settings } from './settings';

/** Of the training of a model; whether and how it is validated is the caller's business. */
export function trainSettings(chosen: Settings): TrainSettings {
  const { schedule: type, warmupEpochs, labelSmoothing, augmentations } = chosen;
  const { recipe } = offeredModel(chosen.model);
  const hasWarmup = type !== 'one_cycle' && warmupEpochs > 0;
  return {
    epochs: chosen.epochs,
    batchSize: chosen.batchSize,
    optimizer: chosen.optimizer,
    lr: chosen.learningRate,
    momentum: chosen.momentum,
    weightDecay: chosen.weightDecay,
    // What has no field of its own.
    ...(chosen.optimizer === 'sgd' && recipe?.optimizer.nesterov && { nesterov: true }),
    ...(recipe?.nearest_mean_start && { nearestMeanStart: true }),
    seed: chosen.seed,
    ...((type !== 'constant' || hasWarmup) && {
      schedule: { type, ...(hasWarmup && { warmup_epochs: warmupEpochs }) },
    }),
    ...(labelSmoothing > 0 && { labelSmoothing }),
    ...(augmentations.length > 0 && { augment: transformsOf(augmentations), augmentViews: chosen.views }),
    ...(chosen.balance && { classWeights: 'balanced' as const }),
  };
}
