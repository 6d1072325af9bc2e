// Photos as a model sees them: decoded once for each size and kept in the store, but for small files, which are decoded every time.
import type { ImageSource, InputSize, Pinhole, RgbaImage } from '../../engine/index';
import type { Photo } from '../state';
import { putPixels, storedImages } from '../store/pictures';
import { smallFile } from './photo';

/**
 * Ready for Dataset.addMany: of the first of `photos`, at least one of them and no more than come to about `mostBytes`. Throws the
 * core's sentence when a picture cannot be read.
 */
export async function imagesOf(
  engine: Pinhole,
  photos: readonly Photo[],
  input: InputSize,
  mostBytes: number,
): Promise<ImageSource[]> {
  const stored = await storedImages(
    photos.map(({ id }) => id),
    input,
    mostBytes,
  );
  return Promise.all(
    stored.map(async ({ pixels, picture }, i) => {
      const { id, name } = photos[i]!;
      if (pixels) return asRgba(pixels, input);
      if (!picture) throw new Error(`${name}: this picture is no longer stored`);
      if (picture.length < smallFile) return picture;
      try {
        const { data } = await engine.decode(picture, input);
        await putPixels(id, input, data as Uint8Array<ArrayBuffer>);
        return asRgba(data, input);
      } catch (error) {
        throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }),
  );
}

function asRgba(bytes: Uint8Array, [height, width, channels]: InputSize): RgbaImage {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0, from = 0; i < data.length; i += 4, from += channels) {
    data[i] = bytes[from]!;
    data[i + 1] = bytes[channels === 1 ? from : from + 1]!;
    data[i + 2] = bytes[channels === 1 ? from : from + 2]!;
  }
  return { data, width, height };
}
