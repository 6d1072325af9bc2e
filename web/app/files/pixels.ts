// Photos as the model sees them: decoded and resized once, by the engine, and kept. They are kept as Blobs, which the browser
// holds outside the page's memory, so that thousands of photos do not fill it.
import type { InputSize, Pinhole } from '../../engine/index';

export interface Pixels {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

interface Kept {
  readonly input: string;
  readonly rgba: Blob;
}

const kept = new WeakMap<Blob, Kept>();

/** Throws the core's sentence when the file cannot be read. */
export async function pixelsOf(engine: Pinhole, file: Blob, name: string, input: InputSize): Promise<Pixels> {
  const [height, width] = input;
  const before = kept.get(file);
  if (before?.input === input.join()) {
    return { data: new Uint8ClampedArray(await before.rgba.arrayBuffer()), width, height };
  }
  const one = await engine.createDataset({ classes: ['photo'], input });
  try {
    await one.add(file, 0, name);
    const pixels = await one.rgba(0);
    kept.set(file, { input: input.join(), rgba: new Blob([pixels.data]) });
    return pixels;
  } finally {
    await one.dispose();
  }
}
