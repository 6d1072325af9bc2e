// Fashion-MNIST as Debian's package dataset-fashion-mnist installs it, for the measurements that train on it.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

export const fashionFolder = '/usr/share/datasets/fashion-mnist';
export const side = 28;

const sizes = { images: { header: 16, item: side * side }, labels: { header: 8, item: 1 } };

/** The first `count` items of an IDX file as an IDX file of its own: `part` is train or t10k, `kind` images or labels. */
export function firstOf(part, kind, count, folder = fashionFolder) {
  const { header, item } = sizes[kind];
  const name = `${part}-${kind}-idx${kind === 'images' ? 3 : 1}-ubyte`;
  const bytes = Buffer.from(gunzipSync(readFileSync(path.join(folder, `${name}.gz`)))).subarray(
    0,
    header + count * item,
  );
  bytes.writeUInt32BE(Math.min(count, (bytes.length - header) / item), 4);
  return { name, bytes, items: bytes.subarray(header) };
}

/** { pixels, labels } of the first `count` images; pixels are one byte each, image after image. */
export function fashionMnist(part, count, folder) {
  return { pixels: firstOf(part, 'images', count, folder).items, labels: firstOf(part, 'labels', count, folder).items };
}

/** A new dataset of the engine's with these images. */
export async function datasetOf(pinhole, { pixels, labels }, classes) {
  const data = await pinhole.createDataset({ classes, input: [side, side, 1] });
  for (const [i, label] of labels.entries()) {
    const rgba = new Uint8ClampedArray(side * side * 4).fill(255);
    for (let at = 0; at < side * side; ++at) rgba.fill(pixels[side * side * i + at], 4 * at, 4 * at + 3);
    await data.addRgba({ data: rgba, width: side, height: side }, label);
  }
  return data;
}
