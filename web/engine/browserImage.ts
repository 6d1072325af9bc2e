// Formats that the core does not decode but the browser may: WebP, AVIF, HEIC. Only these: everything else goes to the core,
// so that the page and the command line see the same numbers.

import type { RgbaImage } from './types.js';

/** Of an image, unless load() is told otherwise. */
export const mostPixels = 100_000_000;

const ascii = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));

function formatOf(bytes: Uint8Array): 'WebP' | 'AVIF' | 'HEIC' | undefined {
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') return 'WebP';
  if (ascii(bytes, 4, 8) !== 'ftyp') return undefined;
  const brand = ascii(bytes, 8, 12);
  if (brand === 'avif' || brand === 'avis') return 'AVIF';
  return ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'].includes(brand) ? 'HEIC' : undefined;
}

/** Upright pixels when the browser can decode what the core cannot; undefined when this is the core's business. */
export async function decodeInBrowser(
  bytes: Uint8Array<ArrayBuffer>,
  maxPixels: number,
): Promise<RgbaImage | undefined> {
  const format = formatOf(bytes);
  if (!format || typeof createImageBitmap !== 'function' || typeof OffscreenCanvas !== 'function') return undefined;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes]), {
      imageOrientation: 'from-image',
      premultiplyAlpha: 'none',
      colorSpaceConversion: 'none',
    });
  } catch {
    throw new Error(`the image is ${format}, which this browser cannot decode or finds damaged`);
  }
  const { width, height } = bitmap;
  try {
    if (width * height > maxPixels)
      throw new Error(`the image is too large: ${width}x${height} pixels, at most ${maxPixels} are allowed`);
    const canvas = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (!canvas) throw new Error(`the image of ${width}x${height} is larger than this browser can draw`);
    canvas.drawImage(bitmap, 0, 0);
    return canvas.getImageData(0, 0, width, height);
  } finally {
    bitmap.close();
  }
}
