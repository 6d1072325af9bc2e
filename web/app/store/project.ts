// Keeps the project between visits: everything but the pictures (pictures.ts) and the state of a training (training.ts) in IndexedDB,
// whose writes are whole or not at all, so that a tab that crashes leaves the last state. One tab at a time holds the project; another works on its own, in
// memory.
import { batch, computed, effect } from '@preact/signals';
import { clear, createStore, get, setMany, type UseStore } from 'idb-keyval';
import type { Model } from '../../engine/index';
import { messageOf } from '../actions/errors';
import { specFor } from '../models';
import * as state from '../state';
import { idsFrom, nextId } from './ids';
import { clearPictures, flushPictures, openPictures } from './pictures';
import { forgetTraining, keepTraining, trainingBefore } from './training';

/** Rises when what is saved can no longer be read as before. */
export const projectFormat = 1;
/** Changes are gathered for so many milliseconds. */
const gathering = 400;
/** While photos are read in or a training runs: between two writes, which take a tenth of the time where writing is slow. */
const mostBetweenSaves = 10_000;

/** The signals that are kept, by name. */
const kept = {
  classes: state.classes,
  chosenSettings: state.chosenSettings,
  phase: state.phase,
  history: state.history,
  bestEpoch: state.bestEpoch,
  isInexact: state.isInexact,
  report: state.report,
  trainedOn: state.trainedOn,
  crossValidation: state.crossValidation,
  currentModel: state.currentModel,
};

export type Kept = { readonly [Name in keyof typeof kept]: (typeof kept)[Name]['value'] };

/** Of a page that has nothing yet. */
export const nothingKept = keptNow();

/** The lists of photos, which are long and change seldom, are a record of their own. */
type Lists = Pick<Kept, 'classes' | 'trainedOn'>;

interface SavedProject extends Omit<Kept, keyof Lists> {
  readonly format: number;
  readonly nextId: number;
}

let database: UseStore | null = null;
let opened: () => void = () => undefined;

/** Resolves when the project of the last visit is there, or it is clear that there is none. */
export const projectIsOpen = new Promise<void>((resolve) => {
  opened = resolve;
});

/** Brings the last visit's project back, all but its model, and keeps it up to date from then on. Gives the model's file. */
export async function openStore(): Promise<{ file: Uint8Array; about: state.CurrentModel } | null> {
  let model: { file: Uint8Array; about: state.CurrentModel } | null = null;
  try {
    // The TypeScript library knows of browsers that have one.
    if (!(navigator.storage as StorageManager | undefined)?.getDirectory)
      throw new Error('this browser has no private file system for pages');
    if (!(await isOurs())) throw new Error('the project is open in another tab; what you do in this one is not kept');
    database = createStore('pinhole', 'project');
    const [project, lists, file] = await Promise.all([
      get<SavedProject>('project', database),
      get<Lists>('photos', database),
      get<Uint8Array>('model', database),
    ]);
    // Earlier versions had the lists in the project's own record.
    const known = project?.format === projectFormat ? ({ ...project, ...lists } as SavedProject & Lists) : undefined;
    await openWith(true, known);
    if (known) restore(known);
    const training = await trainingBefore();
    // One that has finished was to be deleted next.
    if (known && known.phase !== 'finished' && training) restoreTraining(training);
    if (file && known?.currentModel) model = { file, about: known.currentModel };
    startSaving();
  } catch (error) {
    database = null;
    state.notKept.value = `This project is not kept: ${messageOf(error)}. Save it as a file before you leave.`;
    await openWith(false, undefined);
  }
  state.isOpening.value = false;
  opened();
  return model;
}

async function openWith(isKept: boolean, saved: (SavedProject & Lists) | undefined): Promise<void> {
  const { input } = specFor({ ...state.settings.value, ...saved?.chosenSettings });
  const ids = saved?.classes.flatMap(({ photos }) => photos.map(({ id }) => id)) ?? [];
  lostPhotos = new Set(await openPictures(isKept, ids, input));
}

/** Photos whose pictures the browser has thrown away, or that a crash came in between of. */
let lostPhotos: ReadonlySet<number> = new Set();

function restore(saved: SavedProject & Lists): void {
  idsFrom(saved.nextId);
  const isThere = ({ id }: state.Photo): boolean => !lostPhotos.has(id);
  bringBack({
    ...saved,
    // An undamaged project keeps its very lists: they are compared by identity.
    ...(lostPhotos.size > 0 && {
      classes: saved.classes.map((one) => ({ ...one, photos: one.photos.filter(isThere) })),
    }),
    // It is there again when its file has been read.
    currentModel: null,
  });
}

/** A training that its page did not live to end, or that was stopped: the curves end where it can go on. */
function restoreTraining(training: state.KeptTraining): void {
  batch(() => {
    state.keptTraining.value = training;
    if (state.phase.value === 'stopped') return;
    state.phase.value = 'interrupted';
    state.history.value = training.history;
    state.trainedOn.value = training.classes;
    state.report.value = null;
    state.bestEpoch.value = null;
  });
}

/** Everything that is kept, as it is now. */
export function keptNow(): Kept {
  return Object.fromEntries(Object.entries(kept).map(([name, { value }]) => [name, value])) as Kept;
}

export function bringBack(saved: Kept): void {
  batch(() => {
    // Earlier versions did not keep all of it.
    for (const [name, one] of Object.entries(kept)) if (name in saved) one.value = saved[name as keyof Kept];
    if (!['finished', 'stopped'].includes(saved.phase)) state.phase.value = 'idle';
    if (saved.crossValidation?.running) state.crossValidation.value = null;
  });
}

/** Holds a lock until the page is gone. A page that is being reloaded keeps its lock a moment longer. */
async function isOurs(): Promise<boolean> {
  if (!('locks' in navigator)) return true;
  return new Promise((resolve) => {
    const held = (): Promise<void> => {
      resolve(true);
      return new Promise(() => undefined);
    };
    navigator.locks.request('pinhole project', { signal: AbortSignal.timeout(1500) }, held).catch(() => resolve(false));
  });
}

let timer: ReturnType<typeof setTimeout> | undefined;
/** After a write, in milliseconds. */
let pause = 0;
let noSaveBefore = 0;

function startSaving(): void {
  let isFirst = true;
  effect(() => {
    keptNow();
    if (!isFirst) timer ??= setTimeout(() => void save(), Math.max(gathering, noSaveBefore - performance.now()));
    isFirst = false;
  });
  let isRestored = true;
  effect(() => {
    const training = state.keptTraining.value;
    if (!isRestored) void keepTraining(training, attempt);
    isRestored = false;
  });
  // When photos have been read in, and when a training begins or ends, no write waits.
  const stage = computed(() => `${state.phase.value} ${state.reading.value !== null}`);
  effect(() => {
    if (stage.value) void save();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') void save();
  });
}

/** Writes what has changed since the last time, if anything has. */
async function save(): Promise<void> {
  if (timer === undefined) return;
  clearTimeout(timer);
  timer = undefined;
  const begun = performance.now();
  noSaveBefore = begun + pause;
  await writing(writeProject);
  const ended = performance.now();
  const keepsChanging = state.isBusy.value || state.reading.value !== null;
  pause = keepsChanging ? Math.min(9 * (ended - begun), mostBetweenSaves) : 0;
  noSaveBefore = ended + pause;
}

/** The project as it is at this moment, but for `changes`. */
async function writeProject(into: UseStore, changes: Partial<Kept> = {}, model?: Uint8Array): Promise<void> {
  await flushPictures();
  const { classes, trainedOn, ...others } = { ...keptNow(), ...changes };
  const project: SavedProject = { ...others, format: projectFormat, nextId: nextId() };
  const records: [string, unknown][] = [['project', project]];
  // Together in one record: that two lists are the same one is known by their identity.
  const lists: Lists = { classes, trainedOn };
  if (writtenLists?.classes !== classes || writtenLists.trainedOn !== trainedOn) records.push(['photos', lists]);
  if (model) records.push(['model', model]);
  await setMany(records, into);
  writtenLists = lists;
}

/** As they are in the database. */
let writtenLists: Lists | null = null;

let lastWrite: Promise<void> = Promise.resolve();

/** One after the other: an older state never replaces a newer one. */
function inTurn(body: () => Promise<void>): Promise<void> {
  lastWrite = lastWrite.then(body);
  return lastWrite;
}

/** Does not fail: what cannot be written is said on the page. */
async function attempt(write: (into: UseStore) => Promise<void>): Promise<void> {
  if (!database) return;
  try {
    await write(database);
    state.notKept.value = null;
  } catch (error) {
    state.notKept.value = `The latest changes are not kept: ${messageOf(error)}. Save the project as a file before you leave.`;
  }
}

function writing(write: (into: UseStore) => Promise<void>): Promise<void> {
  return inTurn(() => attempt(write));
}

/**
 * The model that classifies, to be there again after a reload, and in the same write the project with `changes`: what becomes true
 * together with it, in the store first and then on the page.
 */
export function keepModel(model: Model, changes: Partial<Kept> = {}): Promise<void> {
  return inTurn(async () => {
    await attempt(async (into) => writeProject(into, changes, await model.save()));
    batch(() => {
      for (const [name, value] of Object.entries(changes))
        (kept[name as keyof Kept] as { value: unknown }).value = value;
    });
  });
}

/** Deletes everything that is kept. */
export async function clearStore(): Promise<void> {
  clearTimeout(timer);
  timer = undefined;
  await clearPictures();
  // Not before, as below: a write that was under way has set it.
  forgetTraining();
  await writing(async (into) => {
    await clear(into);
    writtenLists = null;
  });
}
