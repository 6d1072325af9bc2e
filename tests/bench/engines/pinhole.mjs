// Pinhole's WebAssembly columns, through its public JavaScript package as any page uses it.
import { measureSteps, randomBytes } from './loop.mjs';

export async function start({ module, variant, threads }) {
  const { load } = await import(module);
  const pinhole = await load({ variant, threads });
  let row, model, data;

  const classesOf = (count) => Array.from({ length: count }, (_, label) => `class ${label}`);

  async function randomDataset({ spec, classes, images }) {
    const [height, width] = spec.input;
    const set = await pinhole.createDataset({ classes: classesOf(classes), input: spec.input });
    const bytes = randomBytes(height * width * 4 + images * 4);
    const items = Array.from({ length: images }, (_, i) => {
      const rgba = bytes.slice(4 * i, 4 * i + height * width * 4);
      for (let alpha = 3; alpha < rgba.length; alpha += 4) rgba[alpha] = 255;
      return { image: { data: rgba, width, height }, label: i % classes };
    });
    const { skipped } = await set.addMany(items);
    if (skipped.length) throw new Error(skipped[0].reason);
    return set;
  }

  /** The engine's own time of each step, without the first; it leaves out the moment between two steps in which it looks for messages. */
  async function train(seconds) {
    const steps = [];
    let elapsed = 0;
    const run = model.train(data, {
      epochs: 1_000_000,
      batchSize: row.batch,
      onStep: ({ images, imagesPerSecond, loss }) => {
        const time = images / imagesPerSecond;
        if (steps.length) elapsed += time;
        steps.push({ images, time, loss });
        if (elapsed >= seconds && steps.length > 1) run.stop();
      },
    });
    await run;
    const counted = steps.slice(1);
    return {
      images: counted.reduce((sum, { images }) => sum + images, 0),
      seconds: counted.reduce((sum, { time }) => sum + time, 0),
      steps: counted.length,
      loss: counted.at(-1).loss,
    };
  }

  const infer = (seconds) =>
    measureSteps(
      async () => {
        await model.evaluate(data, { batchSize: row.batch });
        return data.size;
      },
      { seconds },
    );

  return {
    async prepare(request) {
      row = request;
      data = await randomDataset(row);
      model = await pinhole.createModel(row.spec, { classes: classesOf(row.classes) });
      return { description: pinhole.description };
    },
    measure: ({ seconds }) => (row.kind === 'train' ? train(seconds) : infer(seconds)),
    /** All that the module has taken from the system, less what it held with the images alone. */
    async memory(request) {
      row = request;
      data = await randomDataset(row);
      const before = await pinhole.memory();
      model = await pinhole.createModel(row.spec, { classes: classesOf(row.classes) });
      await train(0.5);
      const after = await pinhole.memory();
      return { bytes: after.bytesReserved - before.bytesInUse, grown: after.bytesReserved - before.bytesReserved };
    },
    async load({ photos, images, size }) {
      const files = await Promise.all(photos.map(async (url) => (await fetch(url)).arrayBuffer()));
      const set = await pinhole.createDataset({ classes: ['photo'], input: [size, size, 3] });
      const items = Array.from({ length: images }, (_, i) => ({ image: files[i % files.length], label: 0 }));
      const begin = performance.now();
      const { added, skipped } = await set.addMany(items);
      const seconds = (performance.now() - begin) / 1000;
      if (skipped.length) throw new Error(skipped[0].reason);
      return { images: added, seconds };
    },
  };
}
