// Reads files into classes: every file is decoded by the engine, so that what is accepted here is what can be trained with.
import { engine } from '../engine';
import { pixelsOf } from '../files/pixels';
import { filesOfDrop, type FoundFiles } from '../files/folders';
import { thumbnailOf } from '../files/thumbnails';
import { specFor } from '../models';
import { classes, isBusy, reading, readReport, settings, type Credit, type Photo } from '../state';
import { plural } from '../components/words';
import { announce } from './announce';
import { addPhotos, classNamed, forgetClass, freeClassName } from './classes';
import { clearErrors, messageOf, showError } from './errors';

let nextPhotoId = 1;
let cancellation: AbortController | null = null;

/** Drawn and shown so many at a time: a large folder grows on the screen without redrawing it for every file. */
const photosAtOnce = 8;

/** `into` is the class that takes all of them; without it, folders make or find their classes. */
export async function addFiles(
  found: FoundFiles,
  into?: number,
  creditOf?: (file: File) => Credit | undefined,
): Promise<void> {
  if (isBusy.value || reading.value) {
    showError(
      'data',
      'The images were not added, because the classes are in use at the moment; add them again afterwards.',
    );
    return;
  }
  clearErrors('data');
  readReport.value = null;
  const total = found.groups.reduce((sum, { files }) => sum + files.length, 0);
  if (total === 0) {
    showError(
      'data',
      'No images were found there. A folder needs sub-folders with images, one for each class, or images of one class.',
    );
    return;
  }
  cancellation = new AbortController();
  const { signal } = cancellation;
  reading.value = { done: 0, total };
  announce(`Reading ${plural(total, 'image')}.`);

  const unreadable: { name: string; message: string }[] = [];
  const emptyClasses: string[] = [];
  let added = 0;
  let done = 0;
  try {
    const pinhole = await engine();
    const { input } = specFor(settings.value);
    for (const { className, files } of found.groups) {
      if (signal.aborted) break;
      const classId = into ?? classNamed(className ?? freeClassName()).id;
      let addedHere = 0;
      for (let start = 0; start < files.length && !signal.aborted; start += photosAtOnce) {
        const photos: Photo[] = [];
        for (const file of files.slice(start, start + photosAtOnce)) {
          try {
            const pixels = await pixelsOf(pinhole, file, file.name, input);
            const credit = creditOf?.(file);
            photos.push({
              id: nextPhotoId++,
              name: file.name,
              file,
              thumbnail: await thumbnailOf(file, pixels),
              ...(credit && { credit }),
            });
          } catch (error) {
            unreadable.push({ name: file.name, message: messageOf(error) });
          }
          reading.value = { done: ++done, total };
        }
        addPhotos(classId, photos);
        addedHere += photos.length;
      }
      added += addedHere;
      const target = classes.value.find(({ id }) => id === classId);
      if (target?.photos.length === 0 && !signal.aborted) {
        // A class that was made only for these files goes with them; one that a folder named is said to be empty.
        if (into === undefined && className === null) forgetClass(classId);
        else emptyClasses.push(target.name);
      }
    }
    readReport.value = { added, cancelled: signal.aborted, ignored: found.ignored, unreadable, emptyClasses };
    announce(
      `${plural(added, 'image')} added${unreadable.length > 0 ? `, ${plural(unreadable.length, 'file')} could not be read` : ''}.`,
    );
  } catch (error) {
    showError('data', messageOf(error));
  } finally {
    reading.value = null;
    cancellation = null;
  }
}

/** Takes a drop; called inside its event. */
export async function addDropped(transfer: DataTransfer, into?: number): Promise<void> {
  try {
    await addFiles(await filesOfDrop(transfer), into);
  } catch (error) {
    showError('data', `The dropped files could not be opened: ${messageOf(error)}.`);
  }
}

export function cancelReading(): void {
  cancellation?.abort();
}
