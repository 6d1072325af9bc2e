// A training that is stopped, thrown away and taken up from its state gives the file of one that never stopped; a state from
// native_train goes on here, and one from here there, with the same curve as nearly as the two targets agree.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { load, noiseDataset, packageUrl, photos, runNative, tinySpec } from './support.mjs';

const { describeState } = await import(packageUrl);
let pinhole, folder;
before(async () => {
  pinhole = await load({ variant: 'simd' });
  folder = mkdtempSync(path.join(tmpdir(), 'pinhole-resume-'));
});
after(() => {
  pinhole.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const classes = ['red', 'green', 'blue'];
const settings = { epochs: 3, batchSize: 4, seed: 3, lr: 0.01 };
const spec = tinySpec();
spec.layers.splice(3, 0, { type: 'Dropout', name: 'drop', p: 0.2 });
const newModel = (seed = 0) => pinhole.createModel(spec, { classes, seed });

test('a training resumed from any of its states saves the very file of the whole training', async () => {
  const { train, val } = await (await noiseDataset(pinhole)).split(0.25);
  const states = [];
  const model = await newModel();
  const whole = await model.train(train, { ...settings, val, stateSteps: 2, onState: (event) => states.push(event) });
  const file = await model.save();
  // 5 steps an epoch: every second one, and the end of every epoch.
  assert.deepEqual(
    states.map(({ step, epoch }) => [step, epoch]),
    [[2, 1], [4, 1], [5, 1], [6, 2], [8, 2], [10, 2], [10, 2], [12, 3], [14, 3], [15, 3]], // prettier-ignore
  );
  for (const { state, step } of states) {
    const resumed = await newModel(99); // other weights: they must not matter
    const steps = [];
    let from;
    const history = await resumed.train(train, {
      val,
      resumeFrom: state,
      onResume: (event) => {
        assert.deepEqual(steps, []);
        from = event;
      },
      onStep: (event) => {
        steps.push(event.step);
      },
    });
    assert.deepEqual(
      steps,
      Array.from({ length: 15 - step }, (_, i) => step + i + 1),
    );
    assert.deepEqual(from, { epochs: describeState(state).epochsDone, steps: step }); // nothing is inexact
    assert.deepEqual(await resumed.save(), file, `from step ${step}`);
    const curve = ({ epochs }) => epochs.map((epoch) => ({ ...epoch, seconds: 0 }));
    assert.deepEqual(curve(history), curve(whole));
    assert.deepEqual({ steps: history.steps, stopped: history.stopped }, { steps: 15, stopped: false });
    await resumed.dispose();
  }
});

test('states asked for by time come between the steps of an epoch too, each after the steps before it', async () => {
  const data = await noiseDataset(pinhole);
  const seen = [];
  const at = [];
  const often = { ...settings, epochs: 60, onStep: ({ step }) => void seen.push(step) };
  await (
    await newModel()
  ).train(data, {
    ...often,
    stateSeconds: 0,
    onState: ({ step }) => {
      at.push(step);
      assert.equal(seen.at(-1), step);
    },
  });
  assert.equal(seen.length, 360);
  assert.deepEqual(at, seen, 'one after every step, and no second one where an epoch ends');
  at.length = 0;
  await (
    await newModel()
  ).train(data, { ...often, leastStateSeconds: 3600, onState: ({ step }) => void at.push(step) });
  assert.deepEqual(at, [6], 'the first epoch alone');
});

test('a stopped training hands out its state, which says what it is and goes on', async () => {
  const data = await noiseDataset(pinhole);
  const model = await newModel();
  let state;
  const many = { ...settings, epochs: 200 }; // so that the stop arrives in the middle
  const run = model.train(data, {
    ...many,
    onStep: ({ step }) => {
      if (step >= 8) run.stop();
    },
    onState: (event) => {
      ({ state } = event);
    },
  });
  const { steps, stopped } = await run;
  assert.equal(stopped, true);
  const { recipe, ...about } = describeState(state);
  assert.deepEqual(about, { spec: model.spec, classes, epochs: 200, epochsDone: Math.floor(steps / 6), step: steps });
  assert.equal(recipe.batch_size, 4);
  const resumed = await newModel();
  await resumed.train(data, { resumeFrom: new Blob([state]) });
  const whole = await newModel();
  await whole.train(data, many);
  assert.deepEqual(await resumed.save(), await whole.save());
});

test('a state that does not fit is refused with a reason, and the model stays usable', async () => {
  const data = await noiseDataset(pinhole);
  let state;
  await (await newModel()).train(data, { ...settings, epochs: 1, onState: (event) => ({ state } = event) });
  const model = await newModel();
  const refused = (options, set = data) => model.train(set, { resumeFrom: state, ...options });
  await assert.rejects(refused({ lr: 0.5 }), /optimizer\.lr 0\.01, here 0\.5/);
  await assert.rejects(refused({}, await noiseDataset(pinhole, { seed: 2 })), /other images to train on/);
  await assert.rejects(refused({ val: data }), /0 images to validate on, here are 24/);
  await assert.rejects(refused({ resumeFrom: state.slice(0, 1000) }), /truncated|damaged/);
  await assert.rejects(refused({ resumeFrom: await model.save() }), /not a training state/);
  assert.throws(() => describeState(new Uint8Array(100)), /no training state/);
  const other = await pinhole.createModel(tinySpec(), { classes });
  await assert.rejects(other.train(data, { resumeFrom: state }), /another model/);
  const { epochs } = await refused({ epochs: 2 }); // more epochs than before are fine
  assert.equal(epochs.length, 2);
  assert.equal((await pinhole.memory()).runs, 0);
});

test('a training goes on across targets: wasm, native, wasm gives the losses of native alone to 1e-4', async () => {
  const names = ['fishes', 'tools'];
  const images = path.join(folder, 'images');
  for (const photo of photos(names, 8)) {
    mkdirSync(path.join(images, path.dirname(photo.name)), { recursive: true });
    cpSync(photo.file, path.join(images, photo.name));
  }
  const specFile = path.join(folder, 'spec.json');
  const photoSpec = { ...spec, input: [24, 24, 3] };
  writeFileSync(specFile, JSON.stringify(photoSpec));
  const dir = path.join(folder, 'state');
  const stateFile = path.join(dir, 'state.safetensors');
  const native = async (epochs, ...more) => {
    const out = path.join(folder, `${epochs}.safetensors`);
    await runNative('native_train', [
      ...['--data', images, '--model', specFile, '--out', out, '--epochs', String(epochs), '--seed', '3'],
      ...['--batch-size', '4', '--lr', '0.003', '--val-split', '0', ...more],
    ]);
    return pinhole.loadModel(readFileSync(out));
  };
  const { history: expected } = (await native(3)).training;

  const data = await pinhole.createDataset({ classes: names, input: photoSpec.input });
  await data.addMany(photos(names, 8).map(({ bytes, label, name }) => ({ image: bytes, label, name })));
  const fresh = () => pinhole.createModel(photoSpec, { classes: names, seed: 3 });
  let state;
  const keep = { onState: (event) => ({ state } = event) };
  await (await fresh()).train(data, { epochs: 1, batchSize: 4, lr: 0.003, seed: 3, ...keep });
  mkdirSync(dir);
  writeFileSync(stateFile, state);
  await native(2, '--checkpoint', dir, '--resume');
  assert.ok(existsSync(stateFile));
  let from;
  const onResume = (event) => (from = event);
  const { epochs } = await (await fresh()).train(data, { epochs: 3, resumeFrom: readFileSync(stateFile), onResume });
  assert.equal(from.epochs, 2);
  assert.match(
    from.inexact,
    /, native, compiler .*, here is .*WebAssembly.*: what comes out will differ in its last digits/,
  );
  assert.equal(epochs.length, 3);
  for (const [i, { trainLoss }] of epochs.entries()) {
    const difference = Math.abs(trainLoss - expected[i].train_loss);
    assert.ok(difference <= 1e-4 * expected[i].train_loss, `epoch ${i + 1}: ${difference}`);
  }
});
