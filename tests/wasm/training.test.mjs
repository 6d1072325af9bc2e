// Training and evaluation: the events and their sums, stopping, what goes on beside it, and that it learns.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lessonSpec, load, noiseDataset, noiseImage, photos, tinySpec, variants, withEngine } from './support.mjs';

let pinhole;
before(async () => {
  pinhole = await load({ variant: 'simd' });
});
after(() => {
  pinhole.dispose();
});

const classes = ['red', 'green', 'blue'];
const tinyModel = (engine = pinhole) => engine.createModel(tinySpec(), { classes });
const close = (a, b, tolerance) => Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));

test('training reports every step and every epoch, and the epochs are the means of their steps', async () => {
  const model = await tinyModel();
  const { train, val } = await (await noiseDataset(pinhole)).split(0.25);
  const steps = [],
    epochs = [];
  const history = await model.train(train, {
    epochs: 3,
    batchSize: 5,
    val,
    onStep: (step) => {
      steps.push(step);
    },
    onEpoch: (epoch) => {
      epochs.push(epoch);
    },
  });
  assert.equal(train.size, 18);
  assert.deepEqual(
    steps.map(({ step, epoch, images }) => [step, epoch, images]),
    [1, 2, 3].flatMap((epoch) => [5, 5, 5, 3].map((images, i) => [4 * (epoch - 1) + i + 1, epoch, images])),
  );
  assert.ok(steps.every(({ loss, imagesPerSecond }) => loss > 0 && imagesPerSecond > 0));
  assert.deepEqual(history.epochs, epochs);
  assert.deepEqual({ steps: history.steps, stopped: history.stopped }, { steps: 12, stopped: false });
  for (const { epoch, trainLoss, trainAccuracy, seconds } of epochs) {
    const own = steps.filter((step) => step.epoch === epoch);
    assert.ok(close(trainLoss, own.reduce((sum, { loss, images }) => sum + loss * images, 0) / 18, 1e-12));
    assert.equal(trainAccuracy, own.reduce((sum, { correct }) => sum + correct, 0) / 18);
    assert.ok(seconds > 0);
  }
  const now = await model.evaluate(val, { batchSize: 4 });
  assert.ok(close(now.loss, epochs[2].valLoss, 1e-6));
  assert.equal(now.accuracy, epochs[2].valAccuracy);
});

test('without a validation set an epoch has no validation values', async () => {
  const { epochs } = await (await tinyModel()).train(await noiseDataset(pinhole), { epochs: 1 });
  assert.deepEqual(Object.keys(epochs[0]).sort(), ['epoch', 'seconds', 'trainAccuracy', 'trainLoss']);
});

test('the same seed trains the same weights; another seed, or no shuffling, trains others', async () => {
  const data = await noiseDataset(pinhole);
  const trained = async (options) => {
    const model = await tinyModel();
    await model.train(data, { epochs: 2, batchSize: 5, ...options });
    return model.save({});
  };
  assert.deepEqual(await trained({ seed: 1 }), await trained({ seed: 1 }));
  assert.notDeepEqual(await trained({ seed: 1 }), await trained({ seed: 2 }));
  assert.notDeepEqual(await trained({ seed: 1 }), await trained({ seed: 1, shuffle: false }));
});

for (const optimizer of ['sgd', 'adam', 'adamw']) {
  test(`${optimizer} learns to tell noise of three colours apart`, async () => {
    const model = await tinyModel();
    const { train, val } = await (await noiseDataset(pinhole, { perClass: 16 })).split(0.25);
    const history = await model.train(train, {
      epochs: 12,
      batchSize: 8,
      optimizer,
      lr: optimizer === 'sgd' ? 0.05 : 0.005,
      val,
    });
    assert.ok(history.epochs.at(-1).valAccuracy > 0.9, JSON.stringify(history.epochs.at(-1)));
  });
}

for (const variant of variants) {
  test(`the lesson's network learns eight photos by heart (${variant})`, async () => {
    await withEngine({ variant, threads: variant === 'simd' ? 1 : 2 }, async (engine) => {
      const names = ['fishes', 'tools'];
      const data = await engine.createDataset({ classes: names, input: [224, 224, 3] });
      const { skipped } = await data.addMany(
        photos(names, 4).map(({ bytes, label, name }) => ({ image: bytes, label, name })),
      );
      assert.deepEqual(skipped, []);
      const model = await engine.createModel(lessonSpec('multiclass_cnn'), { classes: names });
      await model.train(data, { epochs: 30, batchSize: 4, optimizer: 'adam', lr: 3e-4 });
      const { accuracy, loss } = await model.evaluate(data);
      assert.equal(accuracy, 1);
      assert.ok(loss < 0.05, `loss ${loss}`);
    });
  });
}

test('a training can go on where an earlier one ended', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole);
  const first = await model.train(data, { epochs: 4, lr: 0.005 });
  const second = await model.train(data, { epochs: 4, lr: 0.005 });
  assert.ok(second.epochs[0].trainLoss < first.epochs[0].trainLoss);
  assert.equal(second.epochs[0].epoch, 1);
  assert.equal(model.training.options.init, true);
});

test('stop ends a training after the step it is in', async () => {
  const model = await tinyModel();
  let last = 0,
    whenStopped;
  const run = model.train(await noiseDataset(pinhole), {
    epochs: 1_000_000,
    batchSize: 2,
    onStep: ({ step }) => {
      last = step;
      if (step >= 100 && whenStopped === undefined) {
        whenStopped = step;
        run.stop();
      }
    },
  });
  const history = await run;
  assert.equal(history.stopped, true);
  assert.equal(history.steps, last);
  assert.ok(history.epochs.length < 1_000_000 && history.steps >= 100);
  assert.deepEqual(model.training.stopped, { epoch: history.epochs.length + 1, step: history.steps });
  const { steps } = await model.train(await noiseDataset(pinhole), { epochs: 1 });
  assert.equal(steps, 1, 'the model is free again');
});

test('a training that is stopped before it began ends as soon as it begins', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole);
  const run = model.train(data, { epochs: 1_000_000 });
  run.stop();
  for (const history of [await run, await model.train(data, { epochs: 1_000_000, signal: AbortSignal.abort() })]) {
    assert.equal(history.stopped, true);
    assert.ok(history.steps < 1000, `${history.steps} steps`);
  }
});

test('an AbortSignal stops a training, and its history still comes', async () => {
  const model = await tinyModel();
  const history = await model.train(await noiseDataset(pinhole), {
    epochs: 1_000_000,
    signal: AbortSignal.timeout(100),
  });
  assert.equal(history.stopped, true);
});

test('other calls are answered between steps: classify, evaluate, save on the very model', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole);
  let steps = 0;
  const run = model.train(data, {
    epochs: 1_000_000,
    onStep: () => {
      ++steps;
    },
  });
  const found = await model.classify(noiseImage(0, 1));
  assert.equal(found.length, 3);
  assert.equal(
    (await model.evaluate(data)).confusion.flat().reduce((sum, count) => sum + count),
    24,
  );
  assert.equal((await pinhole.loadModel(await model.save())).classes.length, 3);
  const memory = await pinhole.memory();
  assert.equal(memory.runs, 1);
  run.stop();
  const history = await run;
  assert.equal(history.steps, steps);
  assert.equal((await pinhole.memory()).runs, 0);
});

test('what a training uses lives until it ends, though it was disposed of', async () => {
  await withEngine({ variant: 'simd' }, async (engine) => {
    const model = await tinyModel(engine);
    const { train, val } = await (await noiseDataset(engine)).split(0.5);
    const run = model.train(train, { epochs: 20, val });
    await Promise.all([model.dispose(), train.dispose(), val.dispose()]);
    const history = await run;
    assert.equal(history.epochs.length, 20);
    assert.ok(history.epochs[19].valLoss > 0);
    const { datasets, models } = await engine.memory();
    assert.deepEqual({ datasets, models }, { datasets: 1, models: 0 });
  });
});

test('a model is trained once at a time, and its images do not change meanwhile', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole);
  const run = model.train(data, { epochs: 1_000_000 });
  await assert.rejects(model.train(data), { message: 'this model is being trained already' });
  await assert.rejects(data.add(noiseImage(0, 1), 0), {
    message: 'a training or evaluation uses this data set; add images when it has ended',
  });
  run.stop();
  await run;
  await data.add(noiseImage(0, 1), 0);
});

test('a training waits for images that are still being added', async () => {
  const data = await pinhole.createDataset({ classes, input: [12, 12, 3] });
  const adding = data.addMany(Array.from({ length: 30 }, (_, i) => ({ image: noiseImage(i % 3, i), label: i % 3 })));
  const { steps } = await (await tinyModel()).train(data, { epochs: 1, batchSize: 1 });
  await adding;
  assert.equal(steps, 30);
});

test('a training that cannot begin is an Error that says why', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole);
  const train = (options, set = data) => model.train(set, options);
  await assert.rejects(train({ epochs: 0 }), { message: 'epochs expected a whole number of 1 or more, got 0' });
  await assert.rejects(train({ batchSize: 2.5 }), {
    message: 'batchSize expected a whole number of 1 or more, got 2.5',
  });
  await assert.rejects(train({ lr: '0.1' }), { message: 'lr expected a number, got "0.1"' });
  await assert.rejects(train({ lr: NaN }), { message: 'lr expected a number, got NaN' });
  await assert.rejects(train({ lr: -1 }), /-1/);
  await assert.rejects(train({ optimizer: 'lion' }), /lion.*sgd.*adam/);
  await assert.rejects(train({}, await pinhole.createDataset({ classes, input: [12, 12, 3] })), {
    message: 'cannot train on an empty data set',
  });
  await assert.rejects(
    train({}, await noiseDataset(pinhole, { size: 10 })),
    /takes images of 12x12x3, the data set has 10x10x3/,
  );
  await assert.rejects(train({}, await noiseDataset(pinhole, { classes: ['red', 'green'] })), {
    message: 'the model tells apart red, green, blue; the data set has red, green',
  });
  await assert.rejects(
    train({}, await noiseDataset(pinhole, { classes: ['green', 'red', 'blue'] })),
    /the model tells apart red, green, blue; the data set has green, red, blue/,
  );
  await assert.rejects(
    train({ val: await noiseDataset(pinhole, { classes: ['a', 'b', 'c'] }) }),
    /the data set has a, b, c/,
  );
  assert.equal((await train({ epochs: 1 })).steps, 1);
  const { datasets, models, runs } = await pinhole.memory();
  assert.ok(datasets > 0 && models > 0 && runs === 0);
});

test('a training that diverges ends with an Error that names the learning rate', async () => {
  const model = await tinyModel();
  const steps = [];
  await assert.rejects(
    model.train(await noiseDataset(pinhole), {
      optimizer: 'sgd',
      lr: 1e20,
      epochs: 50,
      onStep: (step) => {
        steps.push(step);
      },
    }),
    /not a finite number at step \d+.*learning rate/,
  );
  assert.ok(steps.length > 0 && steps.every(({ loss }) => Number.isFinite(loss)), 'the steps before it were reported');
});

test('evaluate gives loss, accuracy, confusion matrix, precision and recall that agree', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole, { perClass: 9 });
  await model.train(data, { epochs: 3, lr: 0.01 });
  const progress = [];
  const { loss, accuracy, confusion, perClass } = await model.evaluate(data, {
    batchSize: 4,
    onProgress: (at) => {
      progress.push(at);
    },
  });
  assert.deepEqual(
    confusion.map((row) => row.reduce((sum, count) => sum + count)),
    [9, 9, 9],
  );
  assert.equal(accuracy, classes.reduce((sum, _, c) => sum + confusion[c][c], 0) / 27);
  assert.ok(loss > 0);
  classes.forEach((label, c) => {
    const called = confusion.reduce((sum, row) => sum + row[c], 0);
    assert.equal(perClass[c].label, label);
    assert.ok(close(perClass[c].recall, confusion[c][c] / 9, 1e-12));
    if (called > 0) assert.ok(close(perClass[c].precision, confusion[c][c] / called, 1e-12));
    else assert.ok(Number.isNaN(perClass[c].precision));
  });
  assert.ok(progress.length > 0 && progress.every(({ done, total }) => done <= total && total === 27));
  const one = await model.evaluate(await data.subset([0]));
  assert.ok(Number.isNaN(one.perClass[1].recall));
});

test('predictAll gives what classify gives, for every image in order, whatever the batch', async () => {
  const labels = [0, 2, 1, 1, 0];
  for (const { spec, names } of [
    { spec: tinySpec(), names: classes },
    {
      spec: tinySpec({
        layers: [
          ...tinySpec().layers.slice(0, 4),
          { type: 'Linear', name: 'fc', out_features: 1 },
          { type: 'Sigmoid', name: 'sigmoid' },
        ],
      }),
      names: ['red', 'green'],
    },
  ]) {
    const model = await pinhole.createModel(spec, { classes: names, seed: 3 });
    const data = await pinhole.createDataset({ classes: names, input: [12, 12, 3] });
    const images = labels.map((label, i) => noiseImage(label, i));
    await data.addMany(images.map((image) => ({ image, label: 0 })));
    const all = await model.predictAll(data, { batchSize: 2 });
    assert.equal(all.length, labels.length * names.length);
    for (const [i, image] of images.entries()) {
      const one = new Map((await model.classify(image)).map(({ label, probability }) => [label, probability]));
      names.forEach((name, c) => assert.ok(close(all[i * names.length + c], one.get(name), 1e-6)));
    }
    assert.deepEqual((await model.evaluate(data)).probabilities.length, all.length);
  }
});

test('with keep: best a training ends with the weights of its best epoch, stopped or not', async () => {
  const { train, val } = await (await noiseDataset(pinhole, { perClass: 12 })).split(0.25);
  const options = { epochs: 6, batchSize: 4, lr: 0.3, optimizer: 'sgd', val, seed: 5 };
  const model = await tinyModel();
  const { epochs, bestEpoch } = await model.train(train, { ...options, keep: 'best' });
  const better = (a, b) => a.valAccuracy > b.valAccuracy || (a.valAccuracy === b.valAccuracy && a.valLoss < b.valLoss);
  const best = epochs.reduce((a, b) => (better(b, a) ? b : a));
  assert.equal(bestEpoch, best.epoch);
  assert.ok(bestEpoch < 6, 'the last epoch is the best, so that this test shows nothing');
  assert.equal(model.training.best_epoch, best.epoch);
  const now = await model.evaluate(val);
  assert.equal(now.accuracy, best.valAccuracy);
  assert.ok(close(now.loss, best.valLoss, 1e-6));

  // The very weights that a training of only so many epochs ends with.
  const shorter = await tinyModel();
  await shorter.train(train, { ...options, epochs: bestEpoch });
  assert.deepEqual(await model.save({}), await shorter.save({}));

  const stopped = await tinyModel();
  const run = stopped.train(train, {
    ...options,
    epochs: 1_000_000,
    keep: 'best',
    onEpoch: ({ epoch }) => {
      if (epoch === 6) run.stop();
    },
  });
  const history = await run;
  assert.equal((await stopped.evaluate(val)).accuracy, history.epochs[history.bestEpoch - 1].valAccuracy);
  await assert.rejects(model.train(train, { keep: 'worst' }), {
    message: `keep expected 'last' or 'best', got "worst"`,
  });
});

test('a paused training takes no step until it goes on, and ends as if it had never paused', async () => {
  const data = await noiseDataset(pinhole);
  const model = await tinyModel();
  let steps = 0;
  const run = model.train(data, {
    epochs: 40,
    batchSize: 2,
    onStep: () => {
      if (++steps === 30) run.pause();
    },
  });
  while (steps < 30) await new Promise((resolve) => setTimeout(resolve, 5));
  await pinhole.memory(); // answered after the pause was heard
  const atPause = steps;
  const answer = await model.classify(noiseImage(1, 1));
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(steps, atPause);
  assert.deepEqual(await model.classify(noiseImage(1, 1)), answer);
  run.resume();
  assert.equal((await run).steps, 40 * 12);
  const other = await tinyModel();
  await other.train(data, { epochs: 40, batchSize: 2 });
  assert.deepEqual(await model.save({}), await other.save({}));

  const stopped = model.train(data, { epochs: 1_000_000 });
  stopped.pause();
  await pinhole.memory();
  stopped.stop();
  assert.equal((await stopped).stopped, true);
});

test('an evaluation can be aborted', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole, { perClass: 100 });
  const controller = new AbortController();
  const evaluation = model.evaluate(data, {
    batchSize: 1,
    signal: controller.signal,
    onProgress: () => {
      controller.abort();
    },
  });
  await assert.rejects(evaluation, { name: 'AbortError' });
  await assert.rejects(model.evaluate(data, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  await data.add(noiseImage(0, 1), 0);
});

test('what a callback throws is what the training fails with', async () => {
  const model = await tinyModel();
  const data = await noiseDataset(pinhole);
  await assert.rejects(
    model.train(data, {
      epochs: 1_000_000,
      onEpoch: () => {
        throw new TypeError('mine');
      },
    }),
    { name: 'TypeError', message: 'mine' },
  );
  while ((await pinhole.memory()).runs > 0);
  assert.equal((await model.train(data, { epochs: 1 })).steps, 1, 'the model is free again');
});
