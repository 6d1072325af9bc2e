// Recipes and augmentation: what the page asks for is what the core does, and native_train sees the same pictures.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { load, noiseDataset, noiseImage, photos, runNative, tinySpec, variants, withEngine } from './support.mjs';

let pinhole;
before(async () => {
  pinhole = await load({ variant: 'simd' });
});
after(() => {
  pinhole.dispose();
});

const classes = ['red', 'green', 'blue'];
const augment = [
  { type: 'RandomResizedCrop', scale: [0.5, 1] },
  { type: 'RandomHorizontalFlip' },
  { type: 'RandomAffine', degrees: 20, translate: [0.1, 0.1], shear: 5, interpolation: 'bilinear' },
  { type: 'ColorJitter', brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  { type: 'RandomErasing', value: 0.5 },
];

test('settings reach the core, over a recipe, and are in the record', async () => {
  const data = await noiseDataset(pinhole);
  const model = await pinhole.createModel(tinySpec(), { classes });
  const rates = [];
  await model.train(data, {
    recipe: { epochs: 7, batch_size: 6, optimizer: { name: 'sgd', lr: 0.5, momentum: 0.5 }, label_smoothing: 0.1 },
    epochs: 2,
    lr: 0.1,
    schedule: { type: 'one_cycle' },
    emaDecay: 0.9,
    clipGradNorm: 1,
    classWeights: 'balanced',
    mixupAlpha: 0.2,
    cutmixAlpha: 1,
    augment,
    augmentViews: 2,
    onStep: ({ lr }) => rates.push(lr),
  });
  const { recipe } = model.training;
  assert.equal(recipe.epochs, 2);
  assert.equal(recipe.batch_size, 6);
  assert.deepEqual(
    { name: recipe.optimizer.name, lr: recipe.optimizer.lr, momentum: recipe.optimizer.momentum },
    { name: 'sgd', lr: 0.1, momentum: 0.5 },
  );
  assert.equal(recipe.label_smoothing, 0.1);
  assert.equal(recipe.class_weights, 'balanced');
  assert.equal(recipe.mixup_alpha, 0.2);
  assert.equal(recipe.cutmix_alpha, 1);
  assert.deepEqual(recipe.augment, augment);
  assert.equal(recipe.augment_views, 2);
  assert.equal(rates.length, 8);
  assert.ok(Math.abs(rates[0] - 0.1 / 25) < 1e-12 && Math.max(...rates) <= 0.1 && rates.at(-1) < 1e-5, String(rates));
});

test('mistakes in settings are named', async () => {
  const data = await noiseDataset(pinhole);
  const model = await pinhole.createModel(tinySpec(), { classes });
  const refused = (settings, message) => assert.rejects(model.train(data, settings), message);
  await refused({ schedule: { type: 'cubic' } }, /unknown schedule "cubic"/);
  await refused({ recipe: { epoch: 3 } }, /has a key "epoch"/);
  await refused({ augment: [{ type: 'Blur' }] }, /unknown transform "Blur"/);
  await refused({ labelSmoothing: 'much' }, /labelSmoothing expected a number/);
  await refused({ mixupAlpha: 9 }, /mixup_alpha expected a number from 0 to 4.0, got 9.0/);
  await refused({ classWeights: [1, 2] }, /one for each of the 3 classes, got 2/);
  await assert.rejects(data.augmented(99, augment), /no image 99/);
  await assert.rejects(data.augmented(0, [{ type: 'RandomCrop', padding: 'wide' }]), /"padding" expected/);
});

test('patience ends a training early and the model keeps the best epoch', async () => {
  const train = await noiseDataset(pinhole);
  // Labelled wrongly, so that what is learned makes it worse sooner or later.
  const val = await pinhole.createDataset({ classes, input: train.input });
  await val.addMany(classes.map((_, label) => ({ image: noiseImage((label + 1) % 3, 5), label })));
  const model = await pinhole.createModel(tinySpec(), { classes });
  const history = await model.train(train, { epochs: 400, lr: 0.02, val, patience: 3 });
  assert.equal(history.stopped, false);
  assert.ok(history.epochs.length < 400);
  assert.equal(history.epochs.length, history.bestEpoch + 3);
  const { accuracy } = await model.evaluate(val);
  assert.equal(accuracy, history.epochs[history.bestEpoch - 1].valAccuracy);
});

test('a preview shows other looks for other seeds and epochs, the picture itself without transforms', async () => {
  const data = await noiseDataset(pinhole);
  const look = async (options) => (await data.augmented(3, augment, options)).data;
  assert.deepEqual(await look({ seed: 1, epoch: 2 }), await look({ seed: 1, epoch: 2 }));
  assert.notDeepEqual(await look({ seed: 1, epoch: 2 }), await look({ seed: 1, epoch: 3 }));
  assert.notDeepEqual(await look({ seed: 1 }), await look({ seed: 2 }));
  assert.deepEqual((await data.augmented(3, [])).data, (await data.pixels(3)).data);
});

test('every build and native_train make the same bytes of a photo', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-recipe-'));
  try {
    const names = ['fishes', 'tools'];
    const looks = [];
    for (const variant of variants) {
      await withEngine({ variant, threads: variant === 'simd' ? 1 : 2 }, async (engine) => {
        const data = await engine.createDataset({ classes: names, input: [40, 48, 3] });
        await data.addMany(photos(names, 4).map(({ bytes, label, name }) => ({ image: bytes, label, name })));
        for (let index = 0; index < data.size; ++index)
          for (const epoch of [1, 2])
            looks.push({ index, epoch, data: (await data.augmented(index, augment, { seed: 5, epoch })).data });
      });
    }
    const each = looks.length / variants.length;
    looks.forEach((look, i) => {
      assert.deepEqual(look, looks[i % each], `look ${i}`);
    });
    // One step at a learning rate of almost nothing: its loss tells whether both saw the same pictures.
    const images = path.join(folder, 'images');
    for (const photo of photos(names, 4)) {
      mkdirSync(path.join(images, path.dirname(photo.name)), { recursive: true });
      cpSync(photo.file, path.join(images, photo.name));
    }
    const spec = tinySpec({ input: [40, 48, 3] });
    const [specFile, recipeFile, log] = ['spec.json', 'r.json', 'log'].map((name) => path.join(folder, name));
    const recipe = {
      epochs: 3,
      batch_size: 8,
      optimizer: { lr: 1e-12 },
      seed: 5,
      augment,
      mixup_alpha: 1,
      cutmix_alpha: 1,
    };
    writeFileSync(specFile, JSON.stringify(spec));
    writeFileSync(recipeFile, JSON.stringify(recipe));
    await runNative('native_train', [
      ...['--data', images, '--model', specFile, '--recipe', recipeFile, '--val-split', '0', '--log', log],
      ...['--out', path.join(folder, 'm.safetensors')],
    ]);
    const native = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ step }) => step !== undefined)
      .map(({ loss }) => loss);
    const data = await pinhole.createDataset({ classes: names, input: spec.input });
    await data.addMany(photos(names, 4).map(({ bytes, label, name }) => ({ image: bytes, label, name })));
    const model = await pinhole.createModel(spec, { classes: names, seed: 5 });
    const own = [];
    await model.train(data, { recipe, onStep: ({ loss }) => own.push(loss) });
    assert.equal(own.length, 3);
    assert.equal(new Set(own).size, 3, 'the epochs look different');
    own.forEach((loss, i) => {
      assert.ok(Math.abs(loss - native[i]) <= 1e-6 * native[i], `${loss} ${native[i]}`);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
