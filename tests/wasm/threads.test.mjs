// The bits of a result do not depend on how many threads ran, nor on whether the build has threads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lessonSpec, noiseImage, variants, withEngine } from './support.mjs';

const classes = ['red', 'green', 'blue'];

/** Weights after a few steps of a network in models/, its losses, and what it then says of an image. */
const trained = (name, options) =>
  withEngine(options, async (pinhole) => {
    const spec = lessonSpec(name);
    const size = spec.input[0];
    const data = await pinhole.createDataset({ classes, input: spec.input });
    await data.addMany(Array.from({ length: 18 }, (_, i) => ({ image: noiseImage(i % 3, i, size), label: i % 3 })));
    const model = await pinhole.createModel(spec, { classes });
    const { train, val } = await data.split(0.3);
    const { epochs } = await model.train(train, { epochs: 2, batchSize: 5, val, lr: 1e-4 });
    const losses = epochs.map((epoch) => ({ ...epoch, seconds: 0 }));
    const weights = Buffer.from(await model.save({})).toString('base64');
    return { losses, found: await model.classify(noiseImage(0, 99, size)), weights };
  });

// The plain loops of the reference backend would take minutes for 224x224.
const networks = {
  xnnpack: ['multiclass_cnn', 'fashion_cnn'],
  simd: ['multiclass_cnn', 'fashion_cnn'],
  reference: ['fashion_cnn'],
};

for (const [backend, names] of Object.entries(networks)) {
  for (const name of names) {
    for (const variant of variants.filter((each) => each.endsWith('threads'))) {
      test(`one, two and three threads train identical weights (${name}, ${backend}, ${variant})`, async () => {
        const one = await trained(name, { variant, backend, threads: 1 });
        for (const threads of [2, 3]) assert.deepEqual(await trained(name, { variant, backend, threads }), one);
      });
    }

    test(`the builds with and without threads train identical weights (${name}, ${backend})`, async () => {
      const one = await trained(name, { variant: 'simd', backend });
      assert.deepEqual(await trained(name, { variant: 'simd-threads', backend, threads: 2 }), one);
    });
  }
}
