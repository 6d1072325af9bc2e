// Makes of one file what is kept beside its pixels: a thumbnail, the picture to look at, and its fingerprints.
import { exactPrint, lookOf, type Pixels } from './fingerprint';

type Bytes = Uint8Array<ArrayBuffer>;

export interface PhotoRequest {
  readonly id: number;
  readonly file: Blob;
  /** What the core read: looked at, and drawn when the browser does not know the file's format. */
  readonly pixels: Pixels;
}

export interface PhotoParts {
  readonly thumbnail: Bytes;
  readonly picture: Bytes;
  readonly exact: string;
  readonly look: string;
}

export interface PhotoAnswer {
  readonly id: number;
  readonly parts?: PhotoParts;
  readonly failure?: string;
}

const thumbnailSide = 144;
/** A file up to this size is kept as it is; of a larger one, a copy with at most this many pixels on its longer side. */
const largestFile = 1 << 20;
const longestSide = 1024;

async function partsOf({ file, pixels }: PhotoRequest): Promise<PhotoParts> {
  const original = new Uint8Array(await file.arrayBuffer());
  const bitmap = await createImageBitmap(file).catch(() => createImageBitmap(asImageData(pixels)));
  try {
    const { width, height } = bitmap;
    // The thumbnail covers its square; what overhangs is cut.
    const cover = thumbnailSide / Math.min(width, height);
    const thumbnail = drawn(bitmap, thumbnailSide, thumbnailSide, width * cover, height * cover);
    const fit = Math.min(1, longestSide / Math.max(width, height));
    const [smallWidth, smallHeight] = [Math.ceil(width * fit), Math.ceil(height * fit)];
    return {
      thumbnail: await jpegOf(thumbnail.canvas, 0.82),
      picture:
        original.length <= largestFile
          ? original
          : await jpegOf(drawn(bitmap, smallWidth, smallHeight, smallWidth, smallHeight).canvas, 0.92),
      exact: exactPrint(original),
      look: lookOf(pixels),
    };
  } finally {
    bitmap.close();
  }
}

/** On white, as the core has it; in the middle. */
function drawn(
  bitmap: ImageBitmap,
  width: number,
  height: number,
  drawnWidth: number,
  drawnHeight: number,
): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext('2d');
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
  const transfer = answer.parts ? [answer.parts.thumbnail.buffer, answer.parts.picture.buffer] : [];
  self.postMessage(answer, { transfer });
};
