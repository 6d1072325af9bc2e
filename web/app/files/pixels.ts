// Photos as a model sees them, decoded once for each size and kept in the store.
import type { InputSize, Pinhole, RgbaImage } from '../../engine/index';
import type { Photo } from '../state';
import { pictureOf, putPixels, storedPixels } from '../store/pictures';

/** Ready for Dataset.add. Throws the core's sentence when the picture cannot be read. */
export async function pixelsOf(engine: Pinhole, { id, name }: Photo, input: InputSize): Promise<RgbaImage> {
  let bytes = await storedPixels(id, input);
  if (!bytes) {
    try {
      bytes = (await engine.decode(await pictureOf(id), input)).data as Uint8Array<ArrayBuffer>;
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    await putPixels(id, input, bytes);
  }
  const [height, width, channels] = input;
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0, from = 0; i < data.length; i += 4, from += channels) {
    data[i] = bytes[from]!;
    data[i + 1] = bytes[channels === 1 ? from : from + 1]!;
    data[i + 2] = bytes[channels === 1 ? from : from + 2]!;
  }
  return { data, width, height };
}
