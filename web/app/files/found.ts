// Files before they are read, wherever they came from.
import type { Credit } from '../state';

/** A file that is opened when its turn comes: thousands of them, or those of a zip, need not be in memory at once. */
export interface FoundFile {
  readonly name: string;
  readonly open: () => Promise<Blob>;
  readonly credit?: Credit;
  /** Of a photo of a saved project. */
  readonly id?: number;
}

/** A file and where it was found: folders, then its name. */
export interface PlacedFile {
  readonly path: readonly string[];
  readonly file: FoundFile;
}
