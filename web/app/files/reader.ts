// Reads files into photos, several at a time: decoded and brought to the training size by the core, each in a worker of its own,
// and everything put into the store. The page's thread only hands bytes on.
import { load, type DecodedPixels, type InputSize, type Pinhole } from '../../engine/index';
import { PatientWorker } from '../../engine/patientWorker';
import { engine, wasmUrl } from '../engine';
import type { Photo } from '../state';
import { newId } from '../store/ids';
import { putPicture } from '../store/pictures';
import type { FoundFile } from './found';
import { largestFile, smallFile, type PhotoAnswer, type PhotoParts, type PhotoRequest } from './photo';

/** More decoders than this wait for each other. */
const mostDecoders = 4;
/** On their way at a time, so that a decoder need not wait for a file to be read or for one to be stored. */
const filesPerDecoder = 4;

export type ReadResult =
  | { readonly photo: Photo }
  /** One sentence of the core or the browser. `isFull`: there is no room for more. */
  | { readonly name: string; readonly failure: string; readonly isFull: boolean };

export class Reader {
  private readonly idle: Pinhole[];
  private readonly waiting: ((decoder: Pinhole) => void)[] = [];
  private readonly worker = new PatientWorker<PhotoRequest, PhotoAnswer>(
    () => new Worker(new URL('./photo.worker.ts', import.meta.url), { type: 'module', name: 'photos' }),
    ({ id, parts, failure }) => {
      const { resolve, reject } = this.asked.get(id)!;
      this.asked.delete(id);
      if (parts) resolve(parts);
      else reject(new Error(failure));
    },
    (message) => {
      for (const { reject } of this.asked.values())
        reject(new Error(message || 'the worker that reads pictures could not be started'));
      this.asked.clear();
    },
  );
  private readonly asked = new Map<number, { resolve: (parts: PhotoParts) => void; reject: (error: Error) => void }>();

  private constructor(
    first: Pinhole,
    private readonly own: readonly Promise<Pinhole>[],
    private readonly input: InputSize,
  ) {
    this.idle = [first];
    // They join when they are there; one that does not come is done without.
    for (const decoder of own)
      decoder.then(
        (one) => this.give(one),
        () => undefined,
      );
  }

  /** `files`: how many there will be, at least; few are not worth decoders of their own. */
  static async open(input: InputSize, files: number): Promise<Reader> {
    const more = Math.min(mostDecoders, navigator.hardwareConcurrency, Math.ceil(files / 16)) - 1;
    const first = await engine();
    return new Reader(
      first,
      Array.from({ length: more }, () => load({ wasmUrl, variant: 'simd' })),
      input,
    );
  }

  /** Gives the results in the files' order. */
  async *read(files: readonly FoundFile[], signal: AbortSignal): AsyncGenerator<ReadResult> {
    const underWay: Promise<ReadResult>[] = [];
    for (const file of files) {
      if (signal.aborted) break;
      underWay.push(this.readOne(file));
      if (underWay.length >= (1 + this.own.length) * filesPerDecoder) yield await underWay.shift()!;
    }
    for (const result of underWay) yield await result;
  }

  close(): void {
    this.worker.terminate();
    for (const decoder of this.own)
      decoder.then(
        (one) => one.dispose(),
        () => undefined,
      );
  }

  async readOne(found: FoundFile): Promise<ReadResult> {
    const { name, credit } = found;
    let read;
    try {
      const blob = await found.open();
      // Read once: every reading takes the browser's other processes longer than the decoding takes.
      const file = blob.size <= largestFile ? new Uint8Array(await blob.arrayBuffer()) : blob;
      read = { file, pixels: await this.decode(file) };
    } catch (error) {
      return { name, failure: messageOf(error), isFull: false };
    }
    const isSmall = read.file instanceof Uint8Array && read.file.length < smallFile;
    const id = found.id ?? newId();
    let parts;
    try {
      parts = await this.partsOf({ id, ...read });
    } catch (error) {
      return { name, failure: messageOf(error), isFull: false };
    }
    const { exact, look, thumbnail, picture, pixels } = parts;
    try {
      await putPicture(id, { thumbnail, picture, pixels: isSmall ? null : pixels }, this.input);
    } catch (error) {
      return { name, failure: messageOf(error), isFull: true };
    }
    return { photo: { id, name, exact, look, ...(credit && { credit }) } };
  }

  private partsOf(request: PhotoRequest): Promise<PhotoParts> {
    const answer = new Promise<PhotoParts>((resolve, reject) => this.asked.set(request.id, { resolve, reject }));
    const { file, pixels } = request;
    const buffers = [file, pixels.data].flatMap((bytes) => (bytes instanceof Uint8Array ? [bytes.buffer] : []));
    this.worker.post(
      request,
      buffers.filter((buffer) => buffer instanceof ArrayBuffer),
    );
    return answer;
  }

  private async decode(file: Uint8Array | Blob): Promise<DecodedPixels> {
    const decoder = await this.take();
    try {
      return await decoder.decode(file, this.input);
    } finally {
      this.give(decoder);
    }
  }

  private take(): Promise<Pinhole> {
    const decoder = this.idle.pop();
    return decoder ? Promise.resolve(decoder) : new Promise((resolve) => this.waiting.push(resolve));
  }

  private give(decoder: Pinhole): void {
    const next = this.waiting.shift();
    if (next) next(decoder);
    else this.idle.push(decoder);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
