// What a soak does again and again, through the public JavaScript package: the same file runs in Node and in a page.

const read = async (url) => {
  if (!url.startsWith('file:')) return new Uint8Array(await (await fetch(url)).arrayBuffer());
  const { readFile } = await import('node:fs/promises');
  return new Uint8Array(await readFile(new URL(url)));
};

function expect(holds, what) {
  if (!holds) throw new Error(`expected ${what}`);
}

/** `models`: [{spec, pretrained?}], addresses; `photos`: [{label, url}], of `classes`. */
export async function start({ module, variant, threads, models, photos, classes }) {
  const { load } = await import(module);
  const pinhole = await load({ variant, threads });
  const pictures = await Promise.all(photos.map(async ({ label, url }) => ({ label, image: await read(url) })));
  const networks = await Promise.all(
    models.map(async ({ spec, pretrained }) => ({
      spec: JSON.parse(new TextDecoder().decode(await read(spec))),
      ...(pretrained && { pretrained: await read(pretrained) }),
    })),
  );
  let round = 0;

  /** Everything that a person does with a model, and what they do wrong; in the end nothing is left of it. */
  async function once({ spec, pretrained }) {
    const seed = ++round;
    const data = await pinhole.createDataset({ classes, input: spec.input });
    expect((await data.addMany(pictures)).skipped.length === 0, 'every photo to be readable');
    const { train, val } = await data.split(0.25, seed);
    const model = await pinhole.createModel(spec, { classes, seed, ...(pretrained && { pretrained }) });
    await model.train(train, { epochs: 2, batchSize: 8, seed, val, augment: [{ type: 'RandomHorizontalFlip' }] });
    const stopped = model.train(train, { epochs: 100, batchSize: 8, onStep: () => stopped.stop() });
    await stopped;
    await model.evaluate(val);
    const loaded = await pinhole.loadModel(await model.save());
    for (const { image } of pictures.slice(0, 4)) {
      const [one, other] = [await model.classify(image), await loaded.classify(image)];
      expect(JSON.stringify(one) === JSON.stringify(other), 'a loaded model to say what the saved one said');
    }
    for (const attempt of [
      () => data.add(new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 0, 16]), 0),
      () => pinhole.loadModel(new Uint8Array(1000)),
      () => model.train(train, { optimizer: 'lion' }),
    ]) {
      const refused = await attempt().then(
        () => false,
        () => true,
      );
      expect(refused, 'a mistake to be refused');
    }
    for (const thing of [data, train, val, model, loaded]) await thing.dispose();
  }

  return {
    /** For so many seconds; gives the rounds of all networks that were done, the seconds they took, and what is held after them. */
    async soak({ seconds }) {
      const begun = performance.now();
      const elapsed = () => (performance.now() - begun) / 1000;
      let rounds = 0;
      while (elapsed() < seconds) {
        for (const network of networks) await once(network);
        ++rounds;
      }
      const taken = elapsed();
      for (let i = 0; i < 3; ++i) {
        globalThis.gc?.();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return { rounds, seconds: taken, memory: await pinhole.memory() };
    },
  };
}
