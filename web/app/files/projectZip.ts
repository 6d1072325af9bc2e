// A project as one zip file: an ImageFolder (class folders with images) that anything can read, and beside the folders the model and
// what only this page needs. Images are packed as they are; they are compressed already.
import { Zip, ZipPassThrough } from 'fflate';

export const projectFile = 'project.json';
export const modelFile = 'model.safetensors';

export interface ZipEntry {
  readonly path: string;
  readonly open: () => Promise<Blob>;
}

/** Gathered bytes are handed to the browser, which may put them on the disk, whenever there are so many. */
const blobSize = 16 << 20;

export async function zipOf(entries: readonly ZipEntry[], onProgress: (done: number) => void): Promise<Blob> {
  const blobs: Blob[] = [];
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let gathered = 0;
  let failure: Error | null = null;
  const zip = new Zip((error, part) => {
    if (error) failure = error;
    parts.push(part);
    gathered += part.length;
  });
  for (const [i, { path, open }] of entries.entries()) {
    const file = new ZipPassThrough(path);
    zip.add(file);
    file.push(new Uint8Array(await (await open()).arrayBuffer()), true);
    if (gathered >= blobSize) {
      blobs.push(new Blob(parts));
      parts = [];
      gathered = 0;
    }
    onProgress(i + 1);
  }
  zip.end();
  if (failure) throw failure as Error;
  return new Blob([...blobs, ...parts], { type: 'application/zip' });
}

/** A name that every file system takes, not yet in `taken`, which then has it. */
export function freeName(wanted: string, taken: Set<string>): string {
  const clean = wanted.replace(/[\u0000-\u001f<>:"/\\|?*]/g, '_').replace(/^[. ]+|[. ]+$/g, '_') || '_';
  const dot = clean.lastIndexOf('.');
  const [stem, extension] = dot > 0 ? [clean.slice(0, dot), clean.slice(dot)] : [clean, ''];
  for (let number = 1; ; ++number) {
    const name = number === 1 ? clean : `${stem} (${number})${extension}`;
    // Some file systems do not tell capitals from small letters.
    if (taken.has(name.toLowerCase())) continue;
    taken.add(name.toLowerCase());
    return name;
  }
}
