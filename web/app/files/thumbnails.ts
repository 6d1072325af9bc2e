// Small pictures of photos, drawn by a worker of the page.
import type { ThumbnailAnswer, ThumbnailRequest } from './thumbnails.worker';

let worker: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, (thumbnail: Blob) => void>();

/** An object URL; whoever keeps it revokes it. */
export async function thumbnailOf(file: Blob, pixels: ThumbnailRequest['pixels']): Promise<string> {
  if (!worker) {
    worker = new Worker(new URL('./thumbnails.worker.ts', import.meta.url), { type: 'module', name: 'thumbnails' });
    worker.onmessage = ({ data }: MessageEvent<ThumbnailAnswer>) => {
      waiting.get(data.id)?.(data.thumbnail);
      waiting.delete(data.id);
    };
  }
  const id = ++lastId;
  const answer = new Promise<Blob>((resolve) => waiting.set(id, resolve));
  worker.postMessage({ id, file, pixels } satisfies ThumbnailRequest);
  return URL.createObjectURL(await answer);
}
