// What every JavaScript engine of the bench shares: random images, and the loop that measures steps. Runs in Node and in pages.

/** Reproducible bytes (xorshift32). */
export function randomBytes(count) {
  const bytes = new Uint8Array(count);
  let state = 0x9e3779b9;
  for (let i = 0; i < count; ++i) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** One step that does not count, unless `warm` is false, then steps for `seconds` (at least one). `step` gives the images it took. */
export async function measureSteps(step, { seconds, warm = true }) {
  if (warm) await step();
  let images = 0,
    steps = 0,
    elapsed = 0;
  const start = performance.now();
  while (elapsed < seconds || steps === 0) {
    images += await step();
    ++steps;
    elapsed = (performance.now() - start) / 1000;
  }
  return { images, seconds: elapsed, steps };
}

/** Walks over a spec up to its logits: conv, relu, pool, average, flatten, linear, each with the shape it gets. */
export function layersOf({ spec, classes }) {
  let [height, width, channels] = spec.input;
  const layers = [];
  for (const layer of spec.layers) {
    const shape = { height, width, channels };
    const { type, kernel_size: kernel, padding = 0, stride = 1 } = layer;
    if (type === 'Conv2d') {
      if (kernel !== 2 * padding + 1 || stride !== 1)
        throw new Error('the bench translates convolutions that keep the size only');
      layers.push({ type, ...shape, kernel, padding, outputs: layer.out_channels });
      channels = layer.out_channels;
    } else if (type === 'MaxPool2d') {
      if (kernel !== 2) throw new Error('the bench translates MaxPool2d(2) only');
      layers.push({ type, ...shape });
      height = Math.floor(height / 2);
      width = Math.floor(width / 2);
    } else if (type === 'AdaptiveAvgPool2d') {
      layers.push({ type, ...shape });
      height = width = 1;
    } else if (type === 'Flatten') {
      layers.push({ type, ...shape });
      channels *= height * width;
      height = width = 1;
    } else if (type === 'Linear') {
      const outputs = layer.out_features === 'classes' ? classes : layer.out_features;
      layers.push({ type, ...shape, outputs });
      channels = outputs;
    } else if (type === 'ReLU') {
      layers.push({ type, ...shape });
    } else if (type !== 'Softmax' && type !== 'Sigmoid') {
      throw new Error(`the bench does not translate ${type}`);
    }
  }
  return { layers, binary: channels === 1 };
}
