// The pretrained model in WebAssembly: weights from a file, what does not fit, and a head that learns photos from few examples,
// with the same probabilities as the native program.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { lessonSpec, photos, root, tinySpec, variants, withEngine } from './support.mjs';

const weights = readFileSync(path.join(root, 'models/mobilenet_v2_trunk.safetensors'));
const spec = lessonSpec('transfer');

test('a head on the pretrained trunk learns photos from five examples a class', async () => {
  const classes = ['fishes', 'monuments', 'renewable', 'tools'];
  const all = photos(classes, 15);
  await withEngine({ variant: variants.at(-1) }, async (pinhole) => {
    const train = await pinhole.createDataset({ classes, input: spec.input });
    const val = await pinhole.createDataset({ classes, input: spec.input });
    for (const label of classes.keys()) {
      const of = all.filter((photo) => photo.label === label);
      await train.addMany(of.slice(0, 5).map(({ bytes }) => ({ image: bytes, label })));
      await val.addMany(of.slice(5).map(({ bytes }) => ({ image: bytes, label })));
    }
    const model = await pinhole.createModel(spec, { classes, pretrained: weights });
    const prepared = [];
    const history = await model.train(train, {
      epochs: 40,
      lr: 0.01,
      val,
      batchSize: 10,
      augment: [{ type: 'RandomHorizontalFlip' }],
      augmentViews: 2,
      onPrepare: (at) => prepared.push(at),
    });
    assert.deepEqual(prepared.at(-1), { done: 40, total: 40 });
    const last = history.epochs.at(-1);
    assert.ok(last.trainLoss < 0.5 * history.epochs[0].trainLoss, `loss ${last.trainLoss}`);
    assert.ok(last.valAccuracy > 0.6, `accuracy ${last.valAccuracy}`); // chance is 0.25
    // What the run computed from kept features is what the whole network gives.
    const { accuracy, loss } = await model.evaluate(val);
    assert.equal(accuracy, last.valAccuracy);
    assert.ok(Math.abs(loss - last.valLoss) < 1e-5, `${loss} and ${last.valLoss}`);
  });
});

test('weights that do not fit are an error that says which, and leave no model behind', async () => {
  await withEngine({ variant: 'simd' }, async (pinhole) => {
    await assert.rejects(
      pinhole.createModel(tinySpec(), { classes: ['a', 'b'], pretrained: weights }),
      /^Error: the file of pretrained weights does not fit Tiny: unexpected: block0_dw\.bias, /,
    );
    await assert.rejects(
      pinhole.createModel(spec, { classes: ['a', 'b'], pretrained: weights.subarray(0, 1000) }),
      /^Error: the file of pretrained weights is truncated/,
    );
    assert.equal((await pinhole.memory()).models, 0);
  });
});
