// Keeps the state of a training between visits, apart from the project: it is large, and written while the training is under way, in a
// tenth of the time that IndexedDB takes.
import type { History, KeptTraining } from '../state';
import { clearTraining, putTraining, storedTraining, storedTrainingStart } from './pictures';

/** Rises when a record can no longer be read as before. */
const recordFormat = 1;

/** What a training began with, which stays the same in it: with many photos it is longer than the state. */
type Start = Omit<KeptTraining, 'state' | 'history'>;

/** The one whose record is in the store. */
let writtenStart: { readonly id: number; readonly of: Start } | null = null;

/** In front of the state: the length of its history as JSON, which follows, and how much room that has. */
async function writeTraining({ state: bytes, history, ...start }: KeptTraining): Promise<void> {
  const encoder = new TextEncoder();
  const isKnown = writtenStart?.of.classes === start.classes && writtenStart.of.split === start.split;
  const now = isKnown && writtenStart ? writtenStart : { id: Date.now(), of: start };
  const json = encoder.encode(JSON.stringify({ format: recordFormat, start: now.id, history }));
  // Of few different sizes, so that a record fits where an older one was.
  const padded = Math.ceil(json.length / 65536) * 65536;
  const record = new Uint8Array(8 + padded + bytes.length);
  new Uint32Array(record.buffer, 0, 2).set([json.length, padded]);
  record.set(json, 8);
  record.set(bytes, 8 + padded);
  await putTraining(record, isKnown ? null : { id: now.id, bytes: encoder.encode(JSON.stringify(start)) });
  writtenStart = now;
}

/** Null when there is none, or none that can be read: the project is worth more than it. */
export async function trainingBefore(): Promise<KeptTraining | null> {
  try {
    const record = await storedTraining();
    if (!record) return null;
    const [length = 0, padded = 0] = new Uint32Array(record.buffer, 0, 2);
    const decoder = new TextDecoder();
    const about = JSON.parse(decoder.decode(record.subarray(8, 8 + length))) as {
      format: number;
      start: number;
      history: History;
    };
    const start = about.format === recordFormat ? await storedTrainingStart(about.start) : null;
    if (!start) return null;
    return { ...(JSON.parse(decoder.decode(start)) as Start), history: about.history, state: record.slice(8 + padded) };
  } catch {
    return null;
  }
}

let unwrittenTraining: KeptTraining | null | undefined;
let isWritingTraining = false;

/** One is written at a time, with `attempt`; of those that come meanwhile the latest is next. Null: it is deleted. */
export async function keepTraining(
  training: KeptTraining | null,
  attempt: (write: () => Promise<void>) => Promise<void>,
): Promise<void> {
  unwrittenTraining = training;
  if (isWritingTraining) return;
  isWritingTraining = true;
  while (unwrittenTraining !== undefined) {
    const next: KeptTraining | null = unwrittenTraining;
    unwrittenTraining = undefined;
    await attempt(() => (next ? writeTraining(next) : deleteTraining()));
  }
  isWritingTraining = false;
}

/** Its record is gone, or about to be. */
export function forgetTraining(): void {
  writtenStart = null;
}

async function deleteTraining(): Promise<void> {
  forgetTraining();
  await clearTraining();
}
