// What a training is set to, in the page's words; recipe.ts says it in the engine's.

export type ModelId =
  | 'transfer'
  | 'fine_tune'
  | 'pinhole_small'
  | 'pinhole_medium'
  | 'multiclass_cnn'
  | 'binary_cnn'
  | 'fashion_cnn'
  | 'fashion_small'
  | 'fashion_resnet';
export type OptimizerName = 'adam' | 'adamw' | 'sgd';
export type ScheduleName = 'constant' | 'cosine' | 'one_cycle';
/** Ways to change training images at random (augmentations.ts). */
export type AugmentationId = 'mirror' | 'crop' | 'nudge' | 'turn' | 'colour' | 'cover';

export interface Settings {
  readonly model: ModelId;
  /** Pixels a side, or the size that the model is written for. */
  readonly imageSize: number | 'model';
  /** Classes with few images count as much as those with many. */
  readonly balance: boolean;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly optimizer: OptimizerName;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly schedule: ScheduleName;
  /** Epochs in which the learning rate rises; one-cycle has its own rise. */
  readonly warmupEpochs: number;
  readonly labelSmoothing: number;
  readonly augmentations: readonly AugmentationId[];
  /** So many looks of each image, computed once where layers are frozen; 0: a new one every epoch. */
  readonly views: number;
  /** Epochs without a better validation after which it ends; 0: none. */
  readonly patience: number;
  readonly validationSplit: number;
  readonly seed: number;
}
