// Training settings that suit a set of images: what the simple mode trains with. Pure, so that it can be tested.
import type { ModelId, Settings } from './state';

/**
 * `counts`: images of each class. Few images want many passes and small batches, so that there are enough steps to learn from; many
 * images want few. A frozen trunk leaves a small head to train, which is quick and learns with larger steps. A part is held out for testing unless that would leave a class with a single image to learn from.
 */
export function suggestSettings(counts: readonly number[], model: ModelId = 'multiclass_cnn'): Settings {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const smallest = counts.length > 0 ? Math.min(...counts) : 0;
  const [epochs, batchSize] =
    total <= 60 ? [30, 8] : total <= 300 ? [20, 16] : total <= 2000 ? [12, 32] : total <= 10_000 ? [6, 32] : [3, 32];
  const pretrained = model === 'transfer';
  return {
    model,
    imageSize: 'model',
    epochs: pretrained ? Math.max(20, 2 * epochs) : epochs,
    balance: false,
    batchSize,
    learningRate: pretrained ? 5e-3 : 1e-3,
    optimizer: 'adam',
    momentum: 0.9,
    weightDecay: 0,
    schedule: 'constant',
    warmupEpochs: 0,
    labelSmoothing: 0,
    augmentations: [],
    patience: 0,
    validationSplit: total > 0 && smallest < 3 ? 0 : 0.2,
    seed: 0,
  };
}
