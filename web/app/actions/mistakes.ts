// Mends the data where the evaluation shows a photo in the wrong class.
import { isBusy } from '../state';
import { movePhotos, removePhotos } from './classes';

export function relabelPhoto(photoId: number, toClassId: number): void {
  if (!isBusy.value) movePhotos([photoId], toClassId);
}

export function removeWrongPhoto(photoId: number): void {
  if (!isBusy.value) removePhotos([photoId]);
}
