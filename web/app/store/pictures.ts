// What the store's worker keeps, as the page asks for it: of a picture a thumbnail to show, the picture itself, and its pixels at the
// model's size; and the state of a training.
import type { InputSize } from '../../engine/index';
import type { StoreAnswer, StoreCalls, StoreRequest } from './protocol';

type Bytes = Uint8Array<ArrayBuffer>;

let worker: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, { resolve: (gives: never) => void; reject: (reason: Error) => void }>();

function call<Name extends keyof StoreCalls>(
  name: Name,
  takes: StoreCalls[Name]['takes'],
  transfer: ArrayBuffer[] = [],
): Promise<StoreCalls[Name]['gives']> {
  if (!worker) {
    worker = new Worker(new URL('./store.worker.ts', import.meta.url), { type: 'module', name: 'store' });
    worker.onmessage = ({ data: { id, gives, failure } }: MessageEvent<StoreAnswer>) => {
      const call = waiting.get(id);
      waiting.delete(id);
      if (failure === undefined) call?.resolve(gives as never);
      else call?.reject(new Error(failure));
    };
    worker.onerror = () => {
      for (const { reject } of waiting.values()) reject(new Error('the worker that keeps the pictures has stopped'));
      waiting.clear();
    };
  }
  const id = ++lastId;
  const answer = new Promise<StoreCalls[Name]['gives']>((resolve, reject) => waiting.set(id, { resolve, reject }));
  const request: StoreRequest = { id, name, takes } as StoreRequest;
  worker.postMessage(request, transfer);
  return answer;
}

function inputKey(input: InputSize): string {
  return input.join('x');
}

/** `isKept`: in the origin private file system, else in memory. Gives the photos of `keep` that are not there. */
export function openPictures(isKept: boolean, keep: readonly number[], input: InputSize): Promise<readonly number[]> {
  return call('open', { isKept, keep, input: inputKey(input) });
}

/** The bytes are handed over: the caller has them no more. null: the picture does as well. */
export function putPicture(
  id: number,
  { thumbnail, picture, pixels }: { thumbnail: Bytes | null; picture: Bytes; pixels: Bytes | null },
  input: InputSize,
): Promise<void> {
  const buffers = [thumbnail, picture, pixels].flatMap((bytes) => (bytes ? [bytes.buffer] : []));
  return call('put', { id, thumbnail, picture, pixels, input: inputKey(input) }, buffers);
}

export async function thumbnailOf(id: number): Promise<Blob> {
  return new Blob([await present(call('thumbnail', { id }))], { type: 'image/jpeg' });
}

/** The file as it was added; of a very large one, a smaller copy. */
export async function pictureOf(id: number): Promise<Blob> {
  return new Blob([await present(call('picture', { id }))]);
}

/**
 * Of the first of `ids`, at least one of them and until they come to `mostBytes`: height * width * channels bytes, or the picture
 * where none are kept at this size.
 */
export function storedImages(
  ids: readonly number[],
  input: InputSize,
  mostBytes: number,
): Promise<StoreCalls['images']['gives']> {
  return call('images', { ids, input: inputKey(input), mostBytes });
}

export function putPixels(id: number, input: InputSize, bytes: Bytes): Promise<void> {
  return call('putPixels', { id, input: inputKey(input), bytes });
}

/**
 * Once it resolves, `bytes` outlive the page, in the place of those before. `start` is what trainings' states have in common, under
 * a number of its own; null: it is there already. Both are handed over.
 */
export function putTraining(bytes: Bytes, start: { id: number; bytes: Bytes } | null): Promise<void> {
  return call('putTraining', { bytes, start }, [bytes.buffer, ...(start ? [start.bytes.buffer] : [])]);
}

export function storedTraining(): Promise<Bytes | null> {
  return call('training', {});
}

export function storedTrainingStart(id: number): Promise<Bytes | null> {
  return call('trainingStart', { id });
}

export function clearTraining(): Promise<void> {
  return call('clearTraining', {});
}

/** Resolves when everything put before is on the disk. */
export function flushPictures(): Promise<void> {
  return call('flush', {});
}

export function clearPictures(): Promise<void> {
  return call('clear', {});
}

async function present(bytes: Promise<Bytes | null>): Promise<Bytes> {
  const found = await bytes;
  if (!found) throw new Error('this picture is no longer stored');
  return found;
}
