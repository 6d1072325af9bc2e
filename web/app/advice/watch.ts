// Looks for duplicates whenever the photos have changed and a moment has passed.
import { effect } from '@preact/signals';
import { classes, duplicates } from '../state';
import type { Duplicates } from './duplicates';

const pause = 400;

export function watchDuplicates(): void {
  let worker: Worker | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    const photos = classes.value.flatMap((one) => one.photos);
    clearTimeout(timer);
    timer = setTimeout(() => {
      // An answer about photos of before would be of no use.
      worker?.terminate();
      worker = undefined;
      if (photos.length < 2) {
        duplicates.value = { exact: [], alike: [] };
        return;
      }
      const started = new Worker(new URL('./duplicates.worker.ts', import.meta.url), {
        type: 'module',
        name: 'duplicates',
      });
      worker = started;
      started.onmessage = ({ data }: MessageEvent<Duplicates>) => {
        duplicates.value = data;
        started.terminate();
      };
      started.postMessage(photos.map(({ id, exact, look }) => ({ id, exact, look })));
    }, pause);
  });
}
