// Training settings that suit a set of images: what the simple mode trains with. Pure, so that it can be tested.
import transferRecipe from '../../models/transfer.recipe.json';
import { augmentationsOf } from './augmentations';
import { offeredModel, type Recipe } from './models';
import type { ModelId, OptimizerName, ScheduleName, Settings } from './settings';

/**
 * `counts`: images of each class. Few images want many passes and small batches, so that there are enough steps to learn from; many
 * images want few. A part is held out for testing unless that would leave a class with a single image to learn from.
 */
export function suggestSettings(counts: readonly number[], model: ModelId = 'transfer'): Settings {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const smallest = counts.length > 0 ? Math.min(...counts) : 0;
  const [epochs, batchSize] =
    total <= 60 ? [30, 8] : total <= 300 ? [20, 16] : total <= 2000 ? [12, 32] : total <= 10_000 ? [6, 32] : [3, 32];
  const scratch: Settings = {
    model,
    imageSize: 'model',
    epochs,
    balance: false,
    batchSize,
    learningRate: 1e-3,
    optimizer: 'adam',
    momentum: 0.9,
    weightDecay: 0,
    schedule: 'constant',
    warmupEpochs: 0,
    labelSmoothing: 0,
    augmentations: [],
    views: 0,
    patience: 0,
    validationSplit: total > 0 && smallest < 3 ? 0 : 0.2,
    seed: 0,
  };
  if (model === 'transfer') return { ...scratch, ...pretrainedSettings(total) };
  const { recipe, spec } = offeredModel(model);
  return recipe ? { ...scratch, ...recipeSettings(recipe, total, batchSize, 'pretrained' in spec) } : scratch;
}

/**
 * A recipe is for as many images as it was made with: from scratch few want more and smaller steps, many want fewer and larger
 * ones.
 */
function recipeSettings(recipe: Recipe, total: number, batchSize: number, isPretrained: boolean): Partial<Settings> {
  const few = total <= 2000;
  const { optimizer, schedule } = recipe;
  return {
    epochs: few ? Math.max(recipe.epochs, isPretrained ? 0 : 60) : Math.min(recipe.epochs, 30),
    batchSize: few ? Math.min(recipe.batch_size, batchSize) : Math.max(recipe.batch_size, batchSize),
    optimizer: optimizer.name as OptimizerName,
    learningRate: optimizer.lr,
    momentum: optimizer.momentum ?? 0.9,
    weightDecay: optimizer.weight_decay ?? 0,
    schedule: schedule.type as ScheduleName,
    warmupEpochs: schedule.warmup_epochs ?? 0,
    labelSmoothing: recipe.label_smoothing ?? 0,
    augmentations: augmentationsOf(recipe.augment),
    views: recipe.augment_views ?? 0,
  };
}

/**
 * A frozen trunk leaves a small head to train, which is quick and learns with larger steps: models/transfer.recipe.json, but for the
 * page's own, gentler crop, and few looks, because every look goes through the whole trunk once: in cross-validation inside training
 * parts of 40 and 80 photos, from the nearest class mean, 1, 2, 3 and 8 looks were equal within the error of 0.02 and 0.015 (0.808,
 * 0.821, 0.833, 0.817 and 0.858, 0.860, 0.860, 0.863). Many images are looks enough.
 */
function pretrainedSettings(total: number): Partial<Settings> {
  const views = total <= 60 ? 3 : total <= 500 ? 1 : 0;
  return {
    epochs: total <= 500 ? transferRecipe.epochs : 20,
    batchSize: transferRecipe.batch_size,
    learningRate: transferRecipe.optimizer.lr,
    weightDecay: transferRecipe.optimizer.weight_decay,
    schedule: 'cosine',
    augmentations: views > 0 ? ['crop', 'mirror'] : [],
    views,
  };
}
