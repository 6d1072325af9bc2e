// What the page asks the worker that makes photos (photo.worker.ts), and what it answers.
import type { DecodedPixels } from '../../engine/index';

type Bytes = Uint8Array<ArrayBuffer>;

/** A file up to this size is read at once and kept as it is; of a larger one, a smaller copy. */
export const largestFile = 1 << 20;

/**
 * A smaller file is decoded again as quickly as stored pixels are read, of which tens of thousands would fill gigabytes, and is its
 * own thumbnail.
 */
export const smallFile = 4096;

/** Its buffers are handed over. */
export interface PhotoRequest {
  readonly id: number;
  readonly file: Blob | Bytes;
  /** What the core read: looked at, and drawn where they are enough or when the browser does not know the file's format. */
  readonly pixels: DecodedPixels;
}

export interface PhotoParts {
  /** null: the picture itself does. */
  readonly thumbnail: Bytes | null;
  readonly picture: Bytes;
  /** The request's, handed back. */
  readonly pixels: Bytes;
  readonly exact: string;
  readonly look: string;
}

export interface PhotoAnswer {
  readonly id: number;
  readonly parts?: PhotoParts;
  readonly failure?: string;
}
