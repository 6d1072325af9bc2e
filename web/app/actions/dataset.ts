// Brings photos to the engine as a data set, in which every image is named by its photo's id.
import type { Dataset, ImageSource, InputSize, Pinhole } from '../../engine/index';
import { withoutLeaks } from '../advice/duplicates';
import { presentDuplicates } from '../advice/watch';
import { imagesOf } from '../files/pixels';
import type { PhotoClass } from '../state';

/** What is handed to the engine at a time: of large photos a few, of small ones hundreds. */
const bytesAtOnce = 2 << 20;
const photosAtOnce = 1000;

interface Options {
  readonly input: InputSize;
  readonly onProgress: (done: number, total: number) => void;
  readonly stopped: () => boolean;
}

export async function datasetOf(
  pinhole: Pinhole,
  classes: readonly PhotoClass[],
  { input, onProgress, stopped }: Options,
): Promise<Dataset> {
  const dataset = await pinhole.createDataset({ classes: classes.map(({ name }) => name), input });
  const photos = classes.flatMap((one, label) => one.photos.map((photo) => ({ photo, label })));
  const read = (from: number): Promise<ImageSource[]> => {
    const next = photos.slice(from, from + photosAtOnce).map(({ photo }) => photo);
    const images = imagesOf(pinhole, next, input, bytesAtOnce);
    // It is waited for later.
    images.catch(() => undefined);
    return images;
  };
  let next = read(0);
  for (let done = 0; done < photos.length && !stopped();) {
    const images = await next;
    const some = photos.slice(done, done + images.length);
    const items = some.map(({ photo, label }, i) => ({ image: images[i]!, label, name: String(photo.id) }));
    const adding = dataset.addMany(items, { transfer: true });
    // The store reads what comes next while the engine takes these.
    if (done + some.length < photos.length) next = read(done + some.length);
    const { skipped } = await adding;
    if (skipped[0]) {
      const name = some.find(({ photo }) => String(photo.id) === skipped[0]!.name)?.photo.name ?? '';
      throw new Error(`${name}: ${skipped[0].reason}`);
    }
    done += some.length;
    onProgress(done, photos.length);
  }
  return dataset;
}

/**
 * As Dataset.split, but pictures that look alike stay on one side where that is possible: one that the model has learned from would
 * flatter it in the test. Without look-alikes it is the engine's split, and native_train's.
 */
export async function splitApart(
  all: Dataset,
  fraction: number,
  seed: number,
): Promise<{ train: Dataset; val: Dataset }> {
  const parts = await all.split(fraction, seed);
  if (parts.val.size === 0) return parts;
  const { alike } = await presentDuplicates();
  if (alike.length === 0) return parts;
  const photos = await photosIn(all);
  const held = new Set((await photosIn(parts.val)).map(({ id }) => id));
  const before = photos.map(({ id }) => held.has(id));
  const after = withoutLeaks(photos, before, alike);
  if (after.every((isHeld, i) => isHeld === before[i])) return parts;
  await Promise.all([parts.train.dispose(), parts.val.dispose()]);
  const indices = (wanted: boolean): number[] => after.flatMap((isHeld, i) => (isHeld === wanted ? [i] : []));
  return { train: await all.subset(indices(false)), val: await all.subset(indices(true)) };
}

/** The parts that a training began with, of the same photos. */
export async function splitAgain(
  all: Dataset,
  { train, val }: { train: readonly number[]; val: readonly number[] },
): Promise<{ train: Dataset; val: Dataset }> {
  const places = new Map((await idsIn(all)).map((id, index) => [id, index]));
  const part = (ids: readonly number[]): Promise<Dataset> => all.subset(ids.map((id) => places.get(id) ?? -1));
  return { train: await part(train), val: await part(val) };
}

export async function idsIn(data: Dataset): Promise<number[]> {
  return (await photosIn(data)).map(({ id }) => id);
}

/** The photos of a data set that datasetOf made, or of a part of it, in its order. */
export async function photosIn(data: Dataset): Promise<{ id: number; label: number }[]> {
  return (await data.entries()).map(({ label, name }) => ({ id: Number(name), label }));
}
