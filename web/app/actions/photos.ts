// Reads files into classes: every file is decoded by the engine, so that what is accepted here is what can be trained with.
import { filesOfTransfer, type FoundFiles } from '../files/folders';
import { Reader } from '../files/reader';
import { specFor } from '../models';
import { classes, isBusy, reading, readReport, settings, type Photo } from '../state';
import { projectIsOpen } from '../store/project';
import { plural } from '../components/words';
import { announce } from './announce';
import { addPhotos, classNamed, describeChange, forgetClass, freeClassName, remember, undo } from './classes';
import { clearErrors, messageOf, showError } from './errors';

let cancellation: AbortController | null = null;

/** A large folder grows on the screen in steps of this many milliseconds, without a redraw for every file. */
const redrawEvery = 200;

/** `into` is the class that takes all of them; without it, folders make or find their classes. */
export async function addFiles(found: FoundFiles | Promise<FoundFiles>, into?: number): Promise<void> {
  if (isBusy.value || reading.value) {
    showError(
      'data',
      'The images were not added, because the classes are in use at the moment; add them again afterwards.',
    );
    return;
  }
  clearErrors('data');
  readReport.value = null;
  reading.value = { done: 0, total: 0 };
  cancellation = new AbortController();
  try {
    await projectIsOpen;
    await readAll(await found, into, cancellation.signal);
  } catch (error) {
    showError('data', messageOf(error));
  } finally {
    reading.value = null;
    cancellation = null;
  }
}

async function readAll(found: FoundFiles, into: number | undefined, signal: AbortSignal): Promise<void> {
  const total = found.groups.reduce((sum, { files }) => sum + files.length, 0);
  if (total === 0) {
    throw new Error(
      'No images were found there. A folder needs sub-folders with images, one for each class, or images of one class.',
    );
  }
  reading.value = { done: 0, total };
  announce(`Reading ${plural(total, 'image')}.`);
  remember('Added images.');
  const before = classes.value;
  const unreadable: { name: string; message: string }[] = [];
  const emptyClasses: string[] = [];
  let added = 0;
  let done = 0;
  let full: string | null = null;
  const reader = await Reader.open(specFor(settings.value).input, total);
  try {
    for (const { className, files } of found.groups) {
      if (signal.aborted || full) break;
      const classId = into ?? classNamed(className ?? freeClassName()).id;
      let photos: Photo[] = [];
      let drawnAt = performance.now();
      const draw = (): void => {
        if (photos.length > 0) addPhotos(classId, photos);
        added += photos.length;
        photos = [];
        reading.value = { done, total };
        drawnAt = performance.now();
      };
      for await (const result of reader.read(files, signal)) {
        ++done;
        if ('photo' in result) photos.push(result.photo);
        else if (result.isFull) full = result.failure;
        else unreadable.push({ name: result.name, message: result.failure });
        if (full) break;
        if (performance.now() - drawnAt > redrawEvery) draw();
      }
      draw();
      const target = classes.value.find(({ id }) => id === classId);
      if (target?.photos.length === 0 && !signal.aborted && !full) {
        // A class that was made only for these files goes with them; one that a folder named is said to be empty.
        if (into === undefined && className === null) forgetClass(classId);
        else emptyClasses.push(target.name);
      }
    }
  } finally {
    reader.close();
    const isUnchanged = classes.value.length === before.length && added === 0;
    if (isUnchanged) undo();
    else describeChange(`Added ${plural(added, 'image')}.`);
  }
  readReport.value = { added, cancelled: signal.aborted, ignored: found.ignored, unreadable, emptyClasses };
  announce(
    `${plural(added, 'image')} added${unreadable.length > 0 ? `, ${plural(unreadable.length, 'file')} could not be read` : ''}.`,
  );
  if (full) throw new Error(`${plural(added, 'image')} of ${plural(total, 'image')} fit: ${full}.`);
}

/** Takes a drop or what was pasted; called inside its event. */
export function addTransfer(transfer: DataTransfer, into?: number): Promise<void> {
  return addFiles(filesOfTransfer(transfer), into);
}

export function cancelReading(): void {
  cancellation?.abort();
}
