// Memory: nothing leaks, and running out of it is an Error after which the engine still works.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { noiseDataset, noiseImage, runScript, tinySpec, variants, withEngine } from './support.mjs';

const classes = ['red', 'green', 'blue'];

/** A block may be some bytes larger than was asked for, where the rest would be too small to use. */
function assertSameMemory(actual, expected) {
  const { bytesInUse, datasets, models, runs } = actual;
  assert.ok(Math.abs(bytesInUse - expected.bytesInUse) < 1000, `${bytesInUse} bytes, expected ${expected.bytesInUse}`);
  assert.deepEqual({ datasets, models, runs }, { datasets: expected.datasets, models: expected.models, runs: 0 });
}

for (const variant of variants) {
  test(
    `a thousand rounds of create, train, classify, save, load and free end with the memory of the tenth (${variant})`,
    { timeout: 600_000 },
    async () => {
      await withEngine({ variant, threads: variant === 'simd' ? 1 : 2 }, async (pinhole) => {
        let tenth;
        for (let round = 1; round <= 1000; ++round) {
          const data = await noiseDataset(pinhole, { perClass: 2, seed: round });
          const { train, val } = await data.split(0.5);
          const model = await pinhole.createModel(tinySpec(), { classes });
          await model.train(train, { epochs: 1, batchSize: 2, val });
          await model.classify(noiseImage(0, round));
          const loaded = await pinhole.loadModel(await model.save());
          // The ways that fail must free what they took, too.
          await assert.rejects(
            pinhole.createModel(tinySpec({ layers: [{ type: 'Conv2d', out_channels: 4, kernel_size: 99 }] }), {
              classes,
            }),
          );
          await assert.rejects(data.add(new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 0, 16]), 0));
          await assert.rejects(pinhole.loadModel(new Uint8Array(1000)));
          await assert.rejects(model.train(train, { optimizer: 'lion' }));
          for (const thing of [data, train, val, model, loaded]) await thing.dispose();
          if (round === 10) tenth = await pinhole.memory();
        }
        const last = await pinhole.memory();
        assertSameMemory(last, { bytesInUse: tenth.bytesInUse, datasets: 0, models: 0 });
        assert.equal(last.bytesReserved, tenth.bytesReserved);
        assert.deepEqual(
          { datasets: tenth.datasets, models: tenth.models, runs: tenth.runs },
          { datasets: 0, models: 0, runs: 0 },
        );
      });
    },
  );
}

test('after tens of thousands of refused files there is still a stack', async () => {
  await withEngine({ variant: 'simd', threads: 1 }, async (pinhole) => {
    const count = 30_000; // about 50 bytes of a megabyte were lost with each
    const data = await pinhole.createDataset({ classes, input: [8, 8, 3] });
    const damaged = { image: new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 0, 16]), label: 0 };
    const { skipped } = await data.addMany(Array.from({ length: count }, () => damaged));
    assert.equal(skipped.length, count);
    for (let i = 0; i < count; i += 1000) {
      const loads = Array.from({ length: 1000 }, () => pinhole.loadModel(new Uint8Array(1000)));
      const ends = await Promise.allSettled(loads);
      for (const { reason } of ends) assert.match(reason.message, /^the model file is not a safetensors file/);
    }
    await data.add(noiseImage(0, 1), 0);
    assert.deepEqual(await data.counts(), [1, 0, 0]);
  });
});

test('a large batch of photos goes through a frozen trunk in small parts', async () => {
  const spec = JSON.parse(readFileSync(new URL('../../models/transfer.json', import.meta.url), 'utf8'));
  delete spec.pretrained; // any weights take as much memory
  await withEngine({ variant: 'simd', threads: 1 }, async (pinhole) => {
    const data = await pinhole.createDataset({ classes: ['a', 'b'], input: spec.input });
    const [height, width] = spec.input;
    const image = { data: new Uint8ClampedArray(height * width * 4).fill(90), width, height };
    await data.addMany(Array.from({ length: 32 }, (_, i) => ({ image, label: i % 2 })));
    const model = await pinhole.createModel(spec, { classes: ['a', 'b'] });
    const before = await pinhole.memory();
    await model.evaluate(data, { batchSize: 32 });
    await model.train(data, { epochs: 1, batchSize: 32, val: data });
    await model.predictAll(data, { batchSize: 32 });
    const megabytes = ((await pinhole.memory()).bytesInUse - before.bytesInUse) / 1e6;
    assert.ok(megabytes < 100, `${megabytes} MB`);
  });
});

test('what was forgotten is freed by the garbage collector', async () => {
  const memory = await runScript(
    `
    const pinhole = await load({ variant: 'simd' });
    await (async () => {
      await pinhole.createDataset({ classes: ['a', 'b'], input: [4, 4, 3] });
      await pinhole.createModel(${JSON.stringify(tinySpec())}, { classes: ['a', 'b'] });
    })();
    const held = await pinhole.memory();
    let memory;
    for (let attempt = 0; attempt < 100; ++attempt) {
      globalThis.gc();
      await new Promise((resolve) => { setTimeout(resolve, 20); });
      memory = await pinhole.memory();
      if (memory.datasets + memory.models === 0) break;
    }
    print([held.datasets, held.models, memory.datasets, memory.models]);`,
    { flags: ['--expose-gc'] },
  );
  assert.deepEqual(memory, [1, 1, 0, 0]);
});

const outOfMemory = { name: 'Error', message: /^out of memory/ };

for (const variant of variants) {
  test(`running out of memory is an Error, and the engine works on (${variant})`, { timeout: 300_000 }, async () => {
    await withEngine({ variant, threads: variant === 'simd' ? 1 : 2 }, async (pinhole) => {
      // 64 MiB of activations for one image, more than there is for 60, and for 64 as many bytes as make 0 in 32 bits.
      const wide = () =>
        pinhole.createModel(
          {
            format: 'pinhole/1',
            input: [64, 64, 3],
            layers: [
              { type: 'Conv2d', out_channels: 4096, kernel_size: 1 },
              { type: 'AdaptiveAvgPool2d', output_size: 1 },
              { type: 'Flatten' },
              { type: 'Linear', out_features: 'classes' },
            ],
          },
          { classes },
        );
      const data = await noiseDataset(pinhole, { size: 64, perClass: 1 });
      const many = await data.subset(Array.from({ length: 64 }, (_, i) => i % 3));
      const works = async (model) => {
        assert.equal((await model.train(data, { epochs: 1 })).steps, 1);
        assert.equal((await model.classify(noiseImage(0, 1, 64))).length, 3);
        await model.dispose();
      };
      await works(await wide());
      const before = await pinhole.memory();

      const model = await wide();
      for (const batchSize of [60, 64]) {
        await assert.rejects(model.train(many, { epochs: 1, batchSize }), outOfMemory);
        await assert.rejects(model.evaluate(many, { batchSize }), outOfMemory);
      }
      // Weights: almost 1 GiB a model, which is the most for one, and 4 GiB is all there is.
      const huge = (...hidden) => {
        const layers = [...hidden, 'classes'].map((out_features) => ({ type: 'Linear', out_features }));
        return pinhole.createModel({ format: 'pinhole/1', input: [1, 1, 16384], layers }, { classes });
      };
      await assert.rejects(
        huge(16384, 16384),
        /^Error: \[Linear #1\] needs 268435456 weights, more than the 0 that are left for it$/,
      );
      const models = [];
      await assert.rejects(async () => {
        while (models.length < 5) models.push(await huge(16380));
      }, outOfMemory);
      assert.ok(models.length >= 2, `${models.length} models of 1 GiB`);
      for (const one of models) await one.dispose();
      await works(model);
      assertSameMemory(await pinhole.memory(), before);
    });
  });
}

test(
  'images that are too many for the memory are skipped with that reason, and the engine works on',
  { timeout: 300_000 },
  async () => {
    await withEngine({ variant: 'simd' }, async (pinhole) => {
      const walls = await pinhole.createDataset({ classes, input: [16384, 16384, 3] });
      const items = Array.from({ length: 6 }, (_, i) => ({ image: noiseImage(0, i), label: 0 }));
      const { added, skipped } = await walls.addMany(items);
      assert.ok(added >= 1 && added < 6, `${added} images of 768 MiB`);
      assert.match(skipped[0].reason, outOfMemory.message);
      await walls.dispose();
      const data = await noiseDataset(pinhole);
      assert.equal((await (await pinhole.createModel(tinySpec(), { classes })).train(data, { epochs: 1 })).steps, 1);
      await assert.rejects(pinhole.createDataset({ classes, input: [40_000, 40_000, 3] }), /40000x40000x3/);
    });
  },
);
