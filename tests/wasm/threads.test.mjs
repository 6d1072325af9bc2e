// The bits of a result do not depend on how many threads ran, nor on whether the build has threads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lessonSpec, noiseImage, variants, withEngine } from './support.mjs';

const classes = ['red', 'green', 'blue'];

/** Weights after a few steps of the lesson's network on 224x224 images, and what it then says. */
const trained = (options) =>
  withEngine(options, async (pinhole) => {
    const data = await pinhole.createDataset({ classes, input: [224, 224, 3] });
    await data.addMany(Array.from({ length: 18 }, (_, i) => ({ image: noiseImage(i % 3, i, 224), label: i % 3 })));
    const model = await pinhole.createModel(lessonSpec('multiclass_cnn'), { classes });
    const { train, val } = await data.split(0.3);
    const { epochs } = await model.train(train, { epochs: 2, batchSize: 5, val, lr: 1e-4 });
    const numbers = epochs.map((epoch) => ({ ...epoch, seconds: 0 }));
    return { file: await model.save({}), numbers, found: await model.classify(noiseImage(0, 99, 224)) };
  });

for (const backend of ['xnnpack', 'simd', 'reference']) {
  test(`one, two and three threads give identical weights (${backend})`, async () => {
    for (const variant of variants.filter((name) => name.endsWith('threads'))) {
      const one = await trained({ variant, backend, threads: 1 });
      for (const threads of [2, 3]) {
        const more = await trained({ variant, backend, threads });
        assert.deepEqual(more.numbers, one.numbers);
        assert.ok(
          Buffer.from(more.file).equals(Buffer.from(one.file)),
          `${variant}, ${threads} threads: other weights`,
        );
        assert.deepEqual(more.found, one.found);
      }
    }
  });

  test(`the builds with and without threads give identical weights (${backend})`, async () => {
    const without = await trained({ variant: 'simd', backend });
    const withThreads = await trained({ variant: 'simd-threads', backend, threads: 2 });
    assert.deepEqual(withThreads.numbers, without.numbers);
    assert.ok(Buffer.from(withThreads.file).equals(Buffer.from(without.file)));
  });
}
