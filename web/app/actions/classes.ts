// Makes, renames and deletes classes, and removes single photos. The last deletion can be undone.
import { announce } from './announce';
import { classes, undoable, type Photo, type PhotoClass } from '../state';

let nextClassId = 1;

export function freeClassName(): string {
  const taken = new Set(classes.value.map(({ name }) => name));
  for (let number = classes.value.length + 1; ; ++number) {
    if (!taken.has(`Class ${number}`)) return `Class ${number}`;
  }
}

/** The class of that name, made if there is none. */
export function classNamed(name: string): PhotoClass {
  const found = classes.value.find((one) => one.name === name);
  if (found) return found;
  const made: PhotoClass = { id: nextClassId++, name, photos: [] };
  classes.value = [...classes.value, made];
  forgetUndo();
  return made;
}

export function addClass(): number {
  const made = classNamed(freeClassName());
  announce(`${made.name} added.`);
  return made.id;
}

/** Null when done, otherwise why not. */
export function renameClass(id: number, wanted: string): string | null {
  const name = wanted.trim();
  if (name === '') return 'A class needs a name.';
  if (classes.value.some((one) => one.id !== id && one.name === name))
    return `There is already a class "${name}"; two classes cannot share a name.`;
  classes.value = classes.value.map((one) => (one.id === id ? { ...one, name } : one));
  forgetUndo();
  return null;
}

export function deleteClass(id: number): void {
  const gone = classes.value.find((one) => one.id === id);
  if (!gone) return;
  remember(`Deleted ${gone.name}${gone.photos.length > 0 ? ` and its ${gone.photos.length} images` : ''}.`);
  classes.value = classes.value.filter((one) => one.id !== id);
}

/** Takes an empty class away that nobody asked for. */
export function forgetClass(id: number): void {
  classes.value = classes.value.filter((one) => one.id !== id);
}

export function removePhoto(classId: number, photoId: number): void {
  const photo = classes.value.find((one) => one.id === classId)?.photos.find((one) => one.id === photoId);
  if (!photo) return;
  remember(`Removed ${photo.name}.`);
  classes.value = classes.value.map((one) =>
    one.id === classId ? { ...one, photos: one.photos.filter(({ id }) => id !== photoId) } : one,
  );
}

export function addPhotos(classId: number, photos: readonly Photo[]): void {
  classes.value = classes.value.map((one) =>
    one.id === classId ? { ...one, photos: [...one.photos, ...photos] } : one,
  );
  forgetUndo();
}

export function undo(): void {
  const kept = undoable.value;
  if (!kept) return;
  undoable.value = null;
  classes.value = kept.before;
  announce('Undone.');
}

/** After any other change: undoing a deletion would take that change back as well. */
function forgetUndo(): void {
  if (!undoable.value) return;
  release(undoable.value.before);
  undoable.value = null;
}

function remember(what: string): void {
  const before = undoable.value?.before;
  undoable.value = { before: classes.value, what };
  if (before) release(before);
  announce(what);
}

/** Frees the thumbnails that only `before` still refers to. */
function release(before: readonly PhotoClass[]): void {
  const used = new Set([...classes.value, ...(undoable.value?.before ?? [])].flatMap(({ photos }) => photos));
  for (const photo of before.flatMap(({ photos }) => photos)) {
    if (!used.has(photo)) URL.revokeObjectURL(photo.thumbnail);
  }
}
