// Makes, renames, orders, merges and deletes classes, and moves and removes photos. Every change can be undone, the latest first.
import { plural } from '../components/words';
import { classes, dismissedChange, undoStack, type Photo, type PhotoClass } from '../state';
import { newId } from '../store/ids';
import { announce } from './announce';
import { renameInModel } from './rename';

/** Changes that can be undone. */
const rememberedChanges = 100;

export function freeClassName(): string {
  const taken = new Set(classes.value.map(({ name }) => name));
  for (let number = classes.value.length + 1; ; ++number) {
    if (!taken.has(`Class ${number}`)) return `Class ${number}`;
  }
}

/** Before a change: what can be gone back to. `what`: the change as a sentence. */
export function remember(what: string): void {
  undoStack.value = [...undoStack.value.slice(1 - rememberedChanges), { before: classes.value, what }];
  dismissedChange.value = null;
}

/** For the latest change, when only its end tells what it was. */
export function describeChange(what: string): void {
  const latest = undoStack.value.at(-1);
  if (latest) undoStack.value = [...undoStack.value.slice(0, -1), { ...latest, what }];
}

function change(what: string, after: readonly PhotoClass[]): void {
  remember(what);
  classes.value = after;
  announce(what);
}

export function undo(): void {
  const latest = undoStack.value.at(-1);
  if (!latest) return;
  const renamed = new Map<string, string>();
  for (const { id, name } of latest.before) {
    const now = classes.value.find((one) => one.id === id);
    if (now && now.name !== name) renamed.set(now.name, name);
  }
  undoStack.value = undoStack.value.slice(0, -1);
  classes.value = latest.before;
  renameInModel(renamed);
  announce(`Undone: ${latest.what}`);
}

/** The class of that name, made if there is none. Part of a change that its caller remembers. */
export function classNamed(name: string): PhotoClass {
  const found = classes.value.find((one) => one.name === name);
  if (found) return found;
  const made: PhotoClass = { id: newId(), name, photos: [] };
  classes.value = [...classes.value, made];
  return made;
}

/** Part of a change that its caller remembers. */
export function addPhotos(classId: number, photos: readonly Photo[]): void {
  classes.value = classes.value.map((one) =>
    one.id === classId ? { ...one, photos: [...one.photos, ...photos] } : one,
  );
}

/** Takes an empty class away that nobody asked for. */
export function forgetClass(id: number): void {
  classes.value = classes.value.filter((one) => one.id !== id);
}

export function addClass(): number {
  const made: PhotoClass = { id: newId(), name: freeClassName(), photos: [] };
  change(`Added ${made.name}.`, [...classes.value, made]);
  return made.id;
}

/** Null when done, otherwise why not. A trained model goes on with the new name. */
export function renameClass(id: number, wanted: string): string | null {
  const name = wanted.trim();
  const before = classes.value.find((one) => one.id === id);
  if (!before || before.name === name) return null;
  if (name === '') return 'A class needs a name.';
  if (classes.value.some((one) => one.name === name))
    return `There is already a class "${name}"; two classes cannot share a name. To make them one, merge them.`;
  change(
    `Renamed ${before.name} to ${name}.`,
    classes.value.map((one) => (one.id === id ? { ...one, name } : one)),
  );
  renameInModel(new Map([[before.name, name]]));
  return null;
}

export function deleteClass(id: number): void {
  const gone = classes.value.find((one) => one.id === id);
  if (!gone) return;
  const images = gone.photos.length > 0 ? ` and its ${plural(gone.photos.length, 'image')}` : '';
  change(
    `Deleted ${gone.name}${images}.`,
    classes.value.filter((one) => one.id !== id),
  );
}

/** To the place `to`, counted from 0. */
export function moveClass(id: number, to: number): void {
  const from = classes.value.findIndex((one) => one.id === id);
  const place = Math.max(0, Math.min(classes.value.length - 1, to));
  if (from < 0 || place === from) return;
  const after = classes.value.filter((one) => one.id !== id);
  const moved = classes.value[from]!;
  after.splice(place, 0, moved);
  change(`Moved ${moved.name} to place ${place + 1} of ${after.length}.`, after);
}

/** All photos of `from` join `into`, and `from` is gone. */
export function mergeClasses(from: number, into: number): void {
  const [gone, kept] = [from, into].map((id) => classes.value.find((one) => one.id === id));
  if (!gone || !kept || gone === kept) return;
  change(
    `Merged ${gone.name} into ${kept.name}.`,
    classes.value
      .filter((one) => one !== gone)
      .map((one) => (one === kept ? { ...one, photos: [...one.photos, ...gone.photos] } : one)),
  );
}

export function removePhotos(ids: readonly number[]): void {
  const gone = new Set(ids);
  const photos = classes.value.flatMap((one) => one.photos.filter(({ id }) => gone.has(id)));
  if (photos.length === 0) return;
  change(
    photos.length === 1 ? `Removed ${photos[0]!.name}.` : `Removed ${plural(photos.length, 'image')}.`,
    classes.value.map((one) =>
      one.photos.some(({ id }) => gone.has(id))
        ? { ...one, photos: one.photos.filter(({ id }) => !gone.has(id)) }
        : one,
    ),
  );
}

/** Says of photos that they belong to another class. */
export function movePhotos(ids: readonly number[], into: number): void {
  const moved = new Set(ids);
  const target = classes.value.find(({ id }) => id === into);
  const photos = classes.value.flatMap((one) => (one === target ? [] : one.photos.filter(({ id }) => moved.has(id))));
  if (!target || photos.length === 0) return;
  const leaving = new Set(photos);
  change(
    `Moved ${photos.length === 1 ? photos[0]!.name : plural(photos.length, 'image')} to ${target.name}.`,
    classes.value.map((one) =>
      one === target
        ? { ...one, photos: [...one.photos, ...photos] }
        : { ...one, photos: one.photos.filter((photo) => !leaving.has(photo)) },
    ),
  );
}
