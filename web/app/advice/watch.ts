// Looks for duplicates whenever the photos have changed and a moment has passed.
import { effect, signal } from '@preact/signals';
import { classes, duplicates } from '../state';
import { PatientWorker } from '../../engine/patientWorker';
import type { Duplicates } from './duplicates';

const pause = 400;

/** `duplicates` is about the photos that are there. */
const isUpToDate = signal(true);

export function watchDuplicates(): void {
  let worker: { terminate(): void } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    const photos = classes.value.flatMap((one) => one.photos);
    isUpToDate.value = false;
    clearTimeout(timer);
    timer = setTimeout(() => {
      // An answer about photos of before would be of no use.
      worker?.terminate();
      const started = new PatientWorker<unknown, Duplicates>(
        () => new Worker(new URL('./duplicates.worker.ts', import.meta.url), { type: 'module', name: 'duplicates' }),
        (found) => {
          duplicates.value = found;
          isUpToDate.value = true;
          started.terminate();
        },
        // Nobody waits for ever for advice.
        () => (isUpToDate.value = true),
      );
      worker = started;
      started.post(photos.map(({ id, exact, look }) => ({ id, exact, look })));
    }, pause);
  });
}

/** What was found among the photos that are there now. */
export function presentDuplicates(): Promise<Duplicates> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (!isUpToDate.value) return;
      resolve(duplicates.peek());
      queueMicrotask(() => stop());
    });
  });
}
