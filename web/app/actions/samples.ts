// The sample photos that come with the page, with their credits.
import { reading, isBusy, type Credit } from '../state';
import { clearErrors, messageOf, showError } from './errors';
import { addFiles } from './photos';

interface Manifest {
  readonly classes: readonly {
    readonly name: string;
    readonly files: readonly ({ readonly file: string } & Credit)[];
  }[];
}

export const sampleFolder = new URL('./samples/photos/', document.baseURI);

/** One of each class, to show what there is. */
export const samplePreview = [
  'fishes/fish28.jpg',
  'monuments/eiffelTower.jpg',
  'renewable/windmill8.jpg',
  'tools/plier1.jpg',
];

export async function addSamples(): Promise<void> {
  if (isBusy.value || reading.value) return;
  clearErrors('data');
  const credits = new WeakMap<File, Credit>();
  try {
    const manifest = (await (await get('manifest.json')).json()) as Manifest;
    const total = manifest.classes.reduce((sum, { files }) => sum + files.length, 0);
    reading.value = { done: 0, total };
    const groups = await Promise.all(
      manifest.classes.map(async ({ name, files }) => ({
        className: name,
        files: await Promise.all(
          files.map(async ({ file, ...credit }) => {
            const blob = await (await get(`${name}/${file}`)).blob();
            const photo = new File([blob], file, { type: blob.type });
            credits.set(photo, credit);
            return photo;
          }),
        ),
      })),
    );
    reading.value = null;
    await addFiles({ groups, ignored: 0 }, undefined, (file) => credits.get(file));
  } catch (error) {
    reading.value = null;
    showError('data', `The sample photos could not be fetched: ${messageOf(error)}.`);
  }
}

async function get(path: string): Promise<Response> {
  const response = await fetch(new URL(path, sampleFolder));
  if (!response.ok) throw new Error(`${path} was answered with ${response.status}`);
  return response;
}
