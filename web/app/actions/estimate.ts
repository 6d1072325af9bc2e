// What a training will take on this device: a few steps on noise, with the very network and batch, tell time and memory.
// It runs while nothing else does, and again when something changes that matters.
import { effect } from '@preact/signals';
import type { Pinhole } from '../../engine/index';
import { transformsOf } from '../augmentations';
import { engine } from '../engine';
import { modelOptions, specFor } from '../models';
import type { Settings } from '../settings';
import { classes, engineState, estimate, isBusy, photoCount, reading, settings } from '../state';
import { messageOf } from './errors';
import { obstacle } from './settings';

/** After the last change, in milliseconds. */
const delay = 500;
/** Larger batches are measured with so many images; what grows with the batch is scaled. */
const mostImages = 32;

interface Measured {
  /** Seconds for one image, in training and in evaluation. */
  readonly training: number;
  readonly evaluation: number;
  /** There are frozen layers, which see every look of every image once, before the first step; `training` is without them. */
  readonly prepares: boolean;
  /** Bytes for the weights and what goes with them, and for each image of a batch. */
  readonly fixed: number;
  readonly perImage: number;
  readonly imageBytes: number;
}

const known = new Map<string, Measured>();
let measuring: { readonly done: Promise<void>; readonly cancel: AbortController } | null = null;

/** Keeps `estimate` up to date from now on. */
export function keepEstimate(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    const isPossible = engineState.value.status === 'ready' && !isBusy.value && !reading.value && obstacle() === null;
    const chosen = settings.value;
    const counts = { classes: classes.value.length, photos: photoCount.value };
    clearTimeout(timer);
    if (!isPossible) {
      if (!isBusy.value) estimate.value = null;
      return;
    }
    timer = setTimeout(() => void update(chosen, counts), delay);
  });
}

/** A training that begins ends the measurement under way: the two would slow each other down. */
export async function endEstimate(): Promise<void> {
  measuring?.cancel.abort();
  await measuring?.done;
}

async function update(chosen: Settings, counts: { classes: number; photos: number }): Promise<void> {
  if (measuring) await measuring.done;
  if (isBusy.value) return;
  const held = Math.round(counts.photos * chosen.validationSplit);
  const batch = Math.min(chosen.batchSize, counts.photos - held);
  const images = Math.min(batch, mostImages);
  const state = engineState.value;
  const threads = state.status === 'ready' ? state.threads : 0;
  const key = [
    threads,
    chosen.model,
    chosen.imageSize,
    images,
    chosen.optimizer,
    chosen.augmentations,
    chosen.views > 0,
    counts.classes,
  ].join();
  let failure: unknown;
  if (!known.has(key)) {
    estimate.value ??= { status: 'measuring' };
    const cancel = new AbortController();
    const done = engine()
      .then((pinhole) => measure(pinhole, chosen, counts.classes, images, cancel.signal))
      .then((measured) => void known.set(key, measured))
      .catch((error: unknown) => void (failure = error));
    measuring = { done, cancel };
    await done;
    measuring = null;
    if (cancel.signal.aborted) {
      if (estimate.value?.status === 'measuring') estimate.value = null;
      return;
    }
  }
  // Something has changed meanwhile: its own estimate is on the way.
  if (chosen !== settings.value || counts.photos !== photoCount.value) return;
  const measured = known.get(key);
  estimate.value = measured
    ? {
        status: 'measured',
        seconds: secondsFor(measured, chosen, counts.photos - held, held),
        bytes: measured.fixed + batch * measured.perImage + counts.photos * measured.imageBytes,
        limit: memoryLimit(),
      }
    : { status: 'failed', message: messageOf(failure) };
}

function secondsFor(
  { training, evaluation, prepares }: Measured,
  chosen: Settings,
  images: number,
  held: number,
): number {
  const looks = chosen.augmentations.length > 0 && chosen.views > 0 ? Math.min(chosen.views, chosen.epochs) : 1;
  // What is held out goes through the frozen layers twice: while it trains, and to see in the end how good it is.
  const once = prepares ? (looks * images + 2 * held) * evaluation : 0;
  return once + chosen.epochs * (images * training + (prepares ? 0 : held * evaluation));
}

/** An aborted one fails. */
async function measure(
  pinhole: Pinhole,
  chosen: Settings,
  classCount: number,
  images: number,
  signal: AbortSignal,
): Promise<Measured> {
  const spec = specFor(chosen);
  const [height, width, channels] = spec.input;
  const names = Array.from({ length: classCount }, (_, index) => String(index));
  const before = (await pinhole.memory()).bytesInUse;
  const model = await pinhole.createModel(spec, await modelOptions(spec, { classes: names }));
  const data = await pinhole.createDataset({ classes: names, input: spec.input });
  try {
    const noise = Uint8ClampedArray.from({ length: height * width * 4 }, (_, i) => (i * 2654435761) >>> 24);
    await data.addMany(
      Array.from({ length: images }, (_, i) => ({ image: { data: noise, width, height }, label: i % classCount })),
    );
    const times: number[] = [];
    let prepares = false;
    await model.train(data, {
      epochs: 6,
      batchSize: images,
      optimizer: chosen.optimizer,
      augment: transformsOf(chosen.augmentations),
      augmentViews: Math.min(chosen.views, 1),
      signal,
      onPrepare: () => {
        prepares = true;
      },
      // The first step makes the plan.
      onStep: ({ step, imagesPerSecond }) => {
        if (step > 1) times.push(1 / imagesPerSecond);
      },
    });
    const training = median(times);
    const scorings: number[] = [];
    for (let i = 0; i < 3; ++i) {
      const start = performance.now();
      signal.throwIfAborted();
      await model.evaluate(data, { batchSize: images, signal });
      scorings.push((performance.now() - start) / 1000 / images);
    }
    const evaluation = median(scorings);
    const used = (await pinhole.memory()).bytesInUse - before;
    const weights = model.summary().parameters * 4;
    const imageBytes = height * width * channels;
    // Weights and gradients are in `used`; the optimizer's moments are freed already, and the best weights are kept twice.
    const moments = weights * (chosen.optimizer === 'sgd' ? 1 : 2);
    const ofBatch = Math.max(0, used - 2 * weights - images * imageBytes);
    return {
      training,
      evaluation,
      prepares,
      fixed: 3 * weights + moments,
      // The batch itself comes as floats too.
      perImage: ofBatch / images + imageBytes * 4,
      imageBytes,
    };
  } finally {
    await Promise.all([model.dispose(), data.dispose()]);
  }
}

/** Of a few times: what else the machine does lengthens some of them. */
function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

/** WebAssembly can have 4 GB; a tab on a small device gets less: half of its memory is a careful guess. */
function memoryLimit(): number {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  const most = 4 * 2 ** 30;
  return deviceMemory ? Math.min(most, (deviceMemory * 2 ** 30) / 2) : most;
}
