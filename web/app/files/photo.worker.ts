// Makes of one file what is kept beside its pixels: a thumbnail, the picture to look at, and its fingerprints.
import type { DecodedPixels } from '../../engine/index';
import { exactPrint, lookOf, type Pixels } from './fingerprint';
import { largestFile, smallFile, type PhotoAnswer, type PhotoParts, type PhotoRequest } from './photo';

type Bytes = Uint8Array<ArrayBuffer>;

const thumbnailSide = 144;
/** The thumbnail of a photo wider than 16:9 or so would be blurred if it was made of the core's 224x224 pixels. */
const mostEnlarged = 1.15;
/** Of the copy of a large file, on its longer side. */
const longestSide = 1024;

async function partsOf({ file, pixels }: PhotoRequest): Promise<PhotoParts> {
  const original = file instanceof Blob ? new Uint8Array(await file.arrayBuffer()) : file;
  const rest = { pixels: pixels.data as Bytes, exact: exactPrint(original), look: lookOf(pixels) };
  if (original.length < smallFile && isShownByBrowsers(original))
    return { thumbnail: null, picture: original, ...rest };
  const isKept = original.length <= largestFile;
  const bitmap = await createImageBitmap(
    isKept && areEnough(pixels) ? asImageData(pixels) : file instanceof Blob ? file : new Blob([file]),
  ).catch(() => createImageBitmap(asImageData(pixels)));
  try {
    // The core's pixels are as wide and high as the model wants them.
    const { imageWidth: width, imageHeight: height } = pixels;
    // The thumbnail covers its square; what overhangs is cut.
    const cover = coverOf(pixels);
    const thumbnail = drawn(bitmap, thumbnailSide, thumbnailSide, width * cover, height * cover);
    const fit = Math.min(1, longestSide / Math.max(width, height));
    const [smallWidth, smallHeight] = [Math.ceil(width * fit), Math.ceil(height * fit)];
    return {
      thumbnail: await jpegOf(thumbnail.canvas, 0.82),
      picture: isKept
        ? original
        : await jpegOf(drawn(bitmap, smallWidth, smallHeight, smallWidth, smallHeight).canvas, 0.92),
      ...rest,
    };
  } finally {
    bitmap.close();
  }
}

/** By its first bytes: JPEG, PNG, WebP or BMP. */
function isShownByBrowsers(file: Bytes): boolean {
  const begins = (at: number, ...bytes: number[]): boolean => bytes.every((byte, i) => file[at + i] === byte);
  return (
    begins(0, 0xff, 0xd8, 0xff) ||
    begins(0, 0x89, 0x50, 0x4e, 0x47) ||
    (begins(0, 0x52, 0x49, 0x46, 0x46) && begins(8, 0x57, 0x45, 0x42, 0x50)) ||
    begins(0, 0x42, 0x4d)
  );
}

function coverOf({ imageWidth, imageHeight }: DecodedPixels): number {
  return thumbnailSide / Math.min(imageWidth, imageHeight);
}

/** Whether a thumbnail of the core's pixels is as good as one of the file, which the browser would have to decode once more. */
function areEnough(pixels: DecodedPixels): boolean {
  const cover = coverOf(pixels);
  return (
    pixels.channels === 3 &&
    pixels.imageWidth * cover <= pixels.width * mostEnlarged &&
    pixels.imageHeight * cover <= pixels.height * mostEnlarged
  );
}

/** On white, as the core has it; in the middle. */
function drawn(
  bitmap: ImageBitmap,
  width: number,
  height: number,
  drawnWidth: number,
  drawnHeight: number,
): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('this browser cannot draw in a worker');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, (width - drawnWidth) / 2, (height - drawnHeight) / 2, drawnWidth, drawnHeight);
  return context;
}

async function jpegOf(canvas: OffscreenCanvas, quality: number): Promise<Bytes> {
  return new Uint8Array(await (await canvas.convertToBlob({ type: 'image/jpeg', quality })).arrayBuffer());
}

function asImageData({ data, width, height, channels }: Pixels): ImageData {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; ++i)
    for (let c = 0; c < 3; ++c) rgba[i * 4 + c] = data[i * channels + (channels === 1 ? 0 : c)]!;
  return new ImageData(rgba, width, height);
}

self.onmessage = async ({ data }: MessageEvent<PhotoRequest>) => {
  let answer: PhotoAnswer;
  try {
    answer = { id: data.id, parts: await partsOf(data) };
  } catch (error) {
    answer = { id: data.id, failure: error instanceof Error ? error.message : String(error) };
  }
  const { thumbnail, picture, pixels } = answer.parts ?? {};
  self.postMessage(answer, {
    transfer: [thumbnail, picture, pixels].flatMap((bytes) => (bytes ? [bytes.buffer] : [])),
  });
};
