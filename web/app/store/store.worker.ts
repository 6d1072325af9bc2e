// Keeps the pictures, and the state of a training, in the origin private file system: this worker alone holds its files. Without one
// it keeps them in memory.
/// <reference lib="dom.asynciterable" />
import { MemoryFile, PackedFile, type RandomAccessFile } from './packed';
import type { StoreAnswer, StoreCalls, StoreRequest } from './protocol';

const folderName = 'pinhole-project';

let folder: FileSystemDirectoryHandle | null = null;
let thumbnails: PackedFile;
let pictures: PackedFile;
/** One record, and for a moment two: the newer one has the larger number. */
let training: PackedFile;
/** What such a record belongs to, by a number that it names. */
let trainingStart: PackedFile;
const pixels = new Map<string, PackedFile>();

async function openFile(name: string): Promise<PackedFile> {
  return new PackedFile(folder ? await syncHandle(folder, name) : new MemoryFile());
}

/** A page that is being reloaded holds its files a moment longer than its successor starts. */
async function syncHandle(inside: FileSystemDirectoryHandle, name: string): Promise<RandomAccessFile> {
  const file = await inside.getFileHandle(name, { create: true });
  for (let attempt = 0; ; ++attempt) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      if (attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function pixelsAt(input: string): Promise<PackedFile> {
  const known = pixels.get(input);
  if (known) return known;
  const opened = await openFile(`pixels-${input}`);
  pixels.set(input, opened);
  return opened;
}

const answers: {
  [Name in keyof StoreCalls]: (
    takes: StoreCalls[Name]['takes'],
  ) => StoreCalls[Name]['gives'] | Promise<StoreCalls[Name]['gives']>;
} = {
  async open({ isKept, keep, input }) {
    if (isKept) {
      const top = await navigator.storage.getDirectory();
      folder = await top.getDirectoryHandle(folderName, { create: true });
    }
    [thumbnails, pictures] = [await openFile('thumbnails'), await openFile('pictures')];
    [training, trainingStart] = [await openFile('training'), await openFile('training-start')];
    const stored = await pixelsAt(input);
    const kept = new Set(keep);
    for (const file of [thumbnails, pictures, stored]) {
      for (const key of file.keys()) if (!kept.has(key)) file.delete(key);
    }
    if (folder) {
      for await (const name of folder.keys())
        if (name.startsWith('pixels-') && name !== `pixels-${input}`) await folder.removeEntry(name);
    }
    return keep.filter((id) => !pictures.has(id));
  },

  async put({ id, thumbnail, picture, pixels: bytes, input }) {
    if (bytes) (await pixelsAt(input)).put(id, bytes);
    if (thumbnail) thumbnails.put(id, thumbnail);
    // The last: a photo whose picture is there is whole.
    pictures.put(id, picture);
    return undefined;
  },

  thumbnail: ({ id }) => thumbnails.get(id) ?? pictures.get(id) ?? null,
  picture: ({ id }) => pictures.get(id) ?? null,
  async images({ ids, input, mostBytes }) {
    const stored = await pixelsAt(input);
    const found = [];
    let bytes = 0;
    for (const id of ids) {
      const kept = stored.get(id) ?? null;
      const picture = kept ? null : (pictures.get(id) ?? null);
      found.push({ pixels: kept, picture });
      bytes += (kept ?? picture)?.length ?? 0;
      if (bytes >= mostBytes) break;
    }
    return found;
  },
  async putPixels({ id, input, bytes }) {
    (await pixelsAt(input)).put(id, bytes);
    return undefined;
  },

  putTraining({ bytes, start }) {
    const before = training.keys();
    if (start) trainingStart.put(start.id, start.bytes);
    training.put(Math.max(0, ...before) + 1, bytes);
    for (const key of before) training.delete(key);
    if (start) for (const key of trainingStart.keys()) if (key !== start.id) trainingStart.delete(key);
    return undefined;
  },
  training: () => training.get(Math.max(0, ...training.keys())) ?? null,
  trainingStart: ({ id }) => trainingStart.get(id) ?? null,
  clearTraining() {
    training.clear();
    trainingStart.clear();
    return undefined;
  },

  flush() {
    for (const file of [thumbnails, pictures, training, trainingStart, ...pixels.values()]) file.flush();
    return undefined;
  },

  async clear() {
    thumbnails.clear();
    pictures.clear();
    training.clear();
    trainingStart.clear();
    for (const [input, file] of pixels) {
      file.close();
      if (folder) await folder.removeEntry(`pixels-${input}`);
    }
    pixels.clear();
    return undefined;
  },
};

/** One after the other, so that a file is opened once and what was put first is there first. */
let before: Promise<unknown> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<StoreRequest>) => {
  before = before.then(async () => {
    let answer: StoreAnswer;
    try {
      // The request pairs each name with what it takes; the compiler cannot follow that through the table.
      const gives = await (answers[data.name] as (takes: unknown) => unknown)(data.takes);
      answer = { id: data.id, gives };
    } catch (error) {
      answer = { id: data.id, failure: inWords(error) };
    }
    self.postMessage(answer, { transfer: buffersIn(answer.gives) });
  });
};

/** Of bytes, wherever they are in an answer. */
function buffersIn(gives: unknown): ArrayBuffer[] {
  if (gives instanceof Uint8Array) return gives.buffer instanceof ArrayBuffer ? [gives.buffer] : [];
  return typeof gives === 'object' && gives !== null ? Object.values(gives).flatMap(buffersIn) : [];
}

function inWords(error: unknown): string {
  if (error instanceof DOMException && error.name === 'QuotaExceededError')
    return 'the browser has no more room for pictures';
  return error instanceof Error ? error.message : String(error);
}
