// Shows what augmentation does: one photo, as the first epochs of a training with these settings see it.
import { rgbaOf, type Dataset } from '../../engine/index';
import { transformsOf } from '../augmentations';
import { engine } from '../engine';
import { imagesOf } from '../files/pixels';
import { specFor } from '../models';
import type { Settings } from '../settings';
import { augmentPreview, isBusy, type Photo } from '../state';
import { messageOf, showError } from './errors';

const looksShown = 6;

let latest = 0;

/** Of several calls only the latest has an effect. */
export async function previewAugmentation(photo: Photo, chosen: Settings): Promise<void> {
  const call = ++latest;
  if (isBusy.value) return;
  let data: Dataset | undefined;
  try {
    const pinhole = await engine();
    const { input } = specFor(chosen);
    data = await pinhole.createDataset({ classes: ['picture'], input });
    const [image] = await imagesOf(pinhole, [photo], input, 1);
    await data.add(image!, 0, photo.name);
    const looks = [];
    for (let epoch = 1; epoch <= looksShown; ++epoch) {
      if (call !== latest) return;
      looks.push(rgbaOf(await data.augmented(0, transformsOf(chosen.augmentations), { seed: chosen.seed, epoch })));
    }
    if (call === latest) augmentPreview.value = { name: photo.name, looks };
  } catch (error) {
    if (call === latest) showError('training', messageOf(error));
  } finally {
    await data?.dispose();
  }
}

export function forgetPreview(): void {
  ++latest;
  augmentPreview.value = null;
}
