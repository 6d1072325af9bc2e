// Mends the data where the evaluation shows a photo in the wrong class.
import { classes, isBusy, photoPlaces } from '../state';
import { announce } from './announce';
import { removePhoto } from './classes';

export function relabelPhoto(photoId: number, toClassId: number): void {
  const place = photoPlaces.value.get(photoId);
  const target = classes.value.find(({ id }) => id === toClassId);
  if (!place || !target || place.photoClass.id === toClassId || isBusy.value) return;
  classes.value = classes.value.map((one) => {
    if (one.id === place.photoClass.id) return { ...one, photos: one.photos.filter(({ id }) => id !== photoId) };
    return one.id === toClassId ? { ...one, photos: [...one.photos, place.photo] } : one;
  });
  announce(`${place.photo.name} is now in ${target.name}.`);
}

export function removeWrongPhoto(photoId: number): void {
  const place = photoPlaces.value.get(photoId);
  if (place && !isBusy.value) removePhoto(place.photoClass.id, photoId);
}
