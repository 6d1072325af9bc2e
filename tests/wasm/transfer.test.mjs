// The pretrained model in WebAssembly: weights from a file, what does not fit, and a head that learns photos from few examples,
// with the same probabilities as the native program.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { lessonSpec, photos, root, tinySpec, variants, withEngine } from './support.mjs';

const weights = readFileSync(path.join(root, 'models/mobilenet_v2_trunk.safetensors'));
const spec = lessonSpec('transfer');
const classes = ['fishes', 'monuments', 'renewable', 'tools'];

/** Of `each` photos a class five to train on, the others to validate. */
async function parts(pinhole, each) {
  const all = photos(classes, each);
  const train = await pinhole.createDataset({ classes, input: spec.input });
  const val = await pinhole.createDataset({ classes, input: spec.input });
  for (const label of classes.keys()) {
    const of = all.filter((photo) => photo.label === label);
    await train.addMany(of.slice(0, 5).map(({ bytes }) => ({ image: bytes, label })));
    await val.addMany(of.slice(5).map(({ bytes }) => ({ image: bytes, label })));
  }
  return { train, val };
}

test('a head on the pretrained trunk learns photos from five examples a class', async () => {
  await withEngine({ variant: variants.at(-1) }, async (pinhole) => {
    const { train, val } = await parts(pinhole, 15);
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

test('the nearest class mean answers before the first step, and only where nothing was learned before', async () => {
  await withEngine({ variant: variants.at(-1) }, async (pinhole) => {
    const { train, val } = await parts(pinhole, 9);
    const model = await pinhole.createModel(spec, { classes, pretrained: weights });
    const events = [];
    const options = {
      epochs: 1,
      lr: 1e-9, // the step changes nothing that could be seen
      val,
      nearestMeanStart: true,
      onFirstAnswer: (event) => events.push(event),
      onStep: (event) => events.push(event),
    };
    const { epochs } = await model.train(train, options);
    const [first, step] = events;
    assert.equal(step.step, 1);
    assert.ok(first.valAccuracy > 0.6, `accuracy ${first.valAccuracy}`); // chance is 0.25
    assert.equal(first.valAccuracy, epochs[0].valAccuracy);
    assert.ok(Math.abs(first.valLoss - epochs[0].valLoss) < 0.2, `${first.valLoss} and ${epochs[0].valLoss}`);
    events.length = 0;
    await model.train(train, options);
    assert.equal(events[0].step, 1, 'the head has learned: it is gone on from');

    // A recipe file says it in its own words.
    const other = await pinhole.createModel(spec, { classes, pretrained: weights });
    events.length = 0;
    const { nearestMeanStart, ...rest } = options;
    await other.train(train, { ...rest, recipe: { nearest_mean_start: nearestMeanStart } });
    assert.deepEqual(events[0], first);

    const whole = await pinhole.createModel(tinySpec(), { classes });
    await assert.rejects(
      whole.train(train, { nearestMeanStart: true }),
      /nearest_mean_start expected a model that trains one Linear on the features of frozen layers, Tiny is none|takes images of/,
    );
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
