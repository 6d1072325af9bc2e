// Photos as a model sees them: decoded once for each size and kept in the store, but for small files, which are decoded every time.
import type { ImageSource, InputSize, Pinhole, Pixels } from '../../engine/index';
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
      if (pixels) return asPixels(pixels, input);
      if (!picture) throw new Error(`${name}: this picture is no longer stored`);
      if (picture.length < smallFile) return picture;
      try {
        const { data } = await engine.decode(picture, input);
        await putPixels(id, input, data as Uint8Array<ArrayBuffer>);
        return asPixels(data, input);
      } catch (error) {
        throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }),
  );
}

function asPixels(data: Uint8Array, [height, width, channels]: InputSize): Pixels {
  return { data, height, width, channels };
}
