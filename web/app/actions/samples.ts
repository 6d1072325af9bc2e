// The sample photos that come with the page, with their credits.
import type { FoundFiles } from '../files/folders';
import { reading, isBusy, type Credit } from '../state';
import { messageOf } from './errors';
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
  await addFiles(sampleFiles());
}

async function sampleFiles(): Promise<FoundFiles> {
  try {
    const manifest = (await (await get('manifest.json')).json()) as Manifest;
    const groups = await Promise.all(
      manifest.classes.map(async ({ name, files }) => ({
        className: name,
        files: await Promise.all(
          files.map(async ({ file, ...credit }) => {
            const photo = await (await get(`${name}/${file}`)).blob();
            return { name: file, open: () => Promise.resolve(photo), credit };
          }),
        ),
      })),
    );
    return { groups, ignored: 0 };
  } catch (error) {
    throw new Error(`The sample photos could not be fetched: ${messageOf(error)}.`);
  }
}

async function get(path: string): Promise<Response> {
  const response = await fetch(new URL(path, sampleFolder));
  if (!response.ok) throw new Error(`${path} was answered with ${response.status}`);
  return response;
}
