// How training images can be changed at random, in torchvision's words: enough to be other pictures, too little to be other things.
import type { AugmentTransform } from '../engine/index';
import type { AugmentationId } from './settings';

interface Augmentation {
  readonly id: AugmentationId;
  readonly name: string;
  readonly about: string;
  readonly transform: AugmentTransform;
}

/** In the order in which they are applied. */
export const augmentations: readonly Augmentation[] = [
  {
    id: 'turn',
    name: 'Turn',
    about: 'By up to 15 degrees',
    transform: { type: 'RandomAffine', degrees: 15, interpolation: 'bilinear', fill: 128 },
  },
  {
    id: 'crop',
    name: 'Shift and zoom',
    about: 'A part of the picture, 60 % of it or more',
    transform: { type: 'RandomResizedCrop', scale: [0.6, 1] },
  },
  {
    id: 'nudge',
    name: 'Nudge',
    about: 'By up to 2 pixels; for small pictures',
    transform: { type: 'RandomCrop', padding: 2 },
  },
  {
    id: 'mirror',
    name: 'Mirror',
    about: 'Left and right; not for letters and signs',
    transform: { type: 'RandomHorizontalFlip' },
  },
  {
    id: 'colour',
    name: 'Light and colour',
    about: 'As on another day, with another camera',
    transform: { type: 'ColorJitter', brightness: 0.3, contrast: 0.3, saturation: 0.3 },
  },
  {
    id: 'cover',
    name: 'Cover a part',
    about: 'So that it looks at more than one spot',
    transform: { type: 'RandomErasing', scale: [0.02, 0.2], value: 0.5 },
  },
];

/** Those that a recipe names, by their kind: how much they change is the page's own. */
export function augmentationsOf(transforms: readonly AugmentTransform[]): AugmentationId[] {
  return augmentations
    .filter(({ transform }) => transforms.some(({ type }) => type === transform.type))
    .map(({ id }) => id);
}

export function transformsOf(chosen: readonly AugmentationId[]): readonly AugmentTransform[] {
  return augmentations.filter(({ id }) => chosen.includes(id)).map(({ transform }) => transform);
}
