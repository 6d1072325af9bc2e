// Models: built from a spec, classify, save and load; every impossible wish is one sentence that says where.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lessonSpec, load, noiseDataset, noiseImage, tinySpec, variants } from './support.mjs';

let pinhole;
before(async () => {
  pinhole = await load({ variant: 'simd' });
});
after(() => {
  pinhole.dispose();
});

const classes = ['red', 'green', 'blue'];

test('a model tells its layers, shapes and parameters', async () => {
  const model = await pinhole.createModel(lessonSpec('multiclass_cnn'), { classes });
  const { layers, ...rest } = model.summary();
  assert.deepEqual(rest, {
    name: 'MultiClassCNN',
    input: [224, 224, 3],
    classes,
    parameters: 602563,
    loss: 'cross_entropy',
  });
  assert.deepEqual(layers[0], { name: 'conv1', type: 'Conv2d', output: [224, 224, 16], parameters: 448 });
  assert.deepEqual(layers.at(-2), { name: 'fc', type: 'Linear', output: [1, 1, 3], parameters: 602115 });
  assert.deepEqual(model.spec, lessonSpec('multiclass_cnn'));
  assert.deepEqual(model.classes, classes);
  const binary = await pinhole.createModel(lessonSpec('binary_cnn'), { classes: ['no', 'yes'] });
  assert.equal(binary.summary().loss, 'binary_cross_entropy');
});

test('the seed fixes the initial weights', async () => {
  const save = async (seed) => (await pinhole.createModel(tinySpec(), { classes, seed })).save();
  assert.deepEqual(await save(3), await save(3));
  assert.notDeepEqual(await save(3), await save(4));
});

test('classify gives every class with its probability, the most probable first', async () => {
  const model = await pinhole.createModel(tinySpec(), { classes });
  const found = await model.classify(noiseImage(0, 1));
  assert.deepEqual(found.map(({ label }) => label).sort(), [...classes].sort());
  assert.ok(found[0].probability >= found[1].probability && found[1].probability >= found[2].probability);
  assert.ok(Math.abs(found.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-6);
  await assert.rejects(model.classify(new TextEncoder().encode('no image at all, only words')), /not an image/);
});

test('a model with one output gives both classes, p and 1 - p', async () => {
  const spec = tinySpec();
  spec.layers.splice(-2, 2, { type: 'Linear', name: 'fc1', out_features: 1 }, { type: 'Sigmoid' });
  const model = await pinhole.createModel(spec, { classes: ['no', 'yes'] });
  const found = await model.classify(noiseImage(0, 1));
  assert.equal(found.length, 2);
  assert.ok(Math.abs(found[0].probability + found[1].probability - 1) < 1e-6);
});

for (const variant of variants) {
  test(`a saved model loads with the same bytes, spec, classes, record and probabilities (${variant})`, async () => {
    const engine = await load({ variant, threads: variant === 'simd' ? 1 : 2 });
    try {
      const model = await engine.createModel(tinySpec(), { classes, seed: 5 });
      await model.train(await noiseDataset(engine), { epochs: 2, batchSize: 5 });
      const file = await model.save();
      assert.ok(file instanceof Uint8Array);
      for (const source of [file, file.slice().buffer, new Blob([file])]) {
        const loaded = await engine.loadModel(source);
        assert.deepEqual(loaded.spec, tinySpec());
        assert.deepEqual(loaded.classes, classes);
        assert.deepEqual(loaded.training, model.training);
        assert.deepEqual(await loaded.classify(noiseImage(1, 9)), await model.classify(noiseImage(1, 9)));
        assert.deepEqual(await loaded.save(), file);
      }
    } finally {
      engine.dispose();
    }
  });
}

test('the training record says what a person needs to train it again, and no file name', async () => {
  const model = await pinhole.createModel(tinySpec(), { classes });
  const data = await noiseDataset(pinhole);
  const { train, val } = await data.split(0.25);
  const { epochs } = await model.train(train, { epochs: 2, val, optimizer: 'sgd', lr: 0.01, batchSize: 4, seed: 3 });
  const { recipe, ...facts } = model.training;
  assert.equal(recipe.epochs, 2);
  assert.equal(recipe.optimizer.name, 'sgd');
  assert.deepEqual(facts, {
    program: 'pinhole (WebAssembly, simd)',
    backend: 'xnnpack',
    data: {
      kind: 'images',
      train_images: 18,
      val_images: 6,
      train_images_of_class: { red: 6, green: 6, blue: 6 },
      val_images_of_class: { red: 2, green: 2, blue: 2 },
    },
    options: {
      epochs: 2,
      batch_size: 4,
      optimizer: { name: 'sgd', lr: 0.01, weight_decay: 0, momentum: 0.9, nesterov: false },
      seed: 3,
      shuffle: true,
      init: false,
    },
    history: epochs.map((epoch) => ({
      epoch: epoch.epoch,
      train_loss: epoch.trainLoss,
      train_accuracy: epoch.trainAccuracy,
      val_loss: epoch.valLoss,
      val_accuracy: epoch.valAccuracy,
    })),
  });
  assert.equal(new TextDecoder().decode(await model.save()).includes('red0'), false);
  const loaded = await pinhole.loadModel(await model.save({ note: 'mine' }));
  assert.deepEqual(loaded.training, { note: 'mine' });
});

const withLayer = (layer) =>
  tinySpec({ layers: [layer, { type: 'Flatten' }, { type: 'Linear', out_features: 'classes' }] });
const wrongSpecs = {
  'an unknown layer': [withLayer({ type: 'Conv3d', out_channels: 4 }), /\[Conv3d #0\].*Conv2d/],
  'a kernel larger than its input': [
    withLayer({ type: 'Conv2d', name: 'big', out_channels: 4, kernel_size: 13 }),
    /\[Conv2d big\].*13.*12x12/,
  ],
  'an unknown key': [withLayer({ type: 'MaxPool2d', kernel_size: 2, ceil: true }), /\[MaxPool2d #0\].*ceil/],
  'a missing key': [withLayer({ type: 'Conv2d', kernel_size: 3 }), /\[Conv2d #0\].*out_channels/],
  'no layers': [tinySpec({ layers: [] }), /layers/],
  'another format': [tinySpec({ format: 'keras' }), /format.*pinhole\/1.*keras/],
  'an input of no size': [tinySpec({ input: [0, 12, 3] }), /input/],
  'no object': ['MultiClassCNN', /expected an object/],
  'weights whose number overflows 32 bits': [
    tinySpec({
      layers: [
        { type: 'Conv2d', out_channels: 65536, kernel_size: 1 },
        { type: 'Conv2d', out_channels: 65536, kernel_size: 1 },
        { type: 'Flatten' },
        { type: 'Linear', out_features: 'classes' },
      ],
    }),
    /\[Conv2d #1\].*weights/,
  ],
  'an input whose values overflow 32 bits': [tinySpec({ input: [16384, 16384, 16] }), Error],
  'a layer whose values overflow 32 bits': [
    { ...withLayer({ type: 'Conv2d', out_channels: 65536, kernel_size: 1 }), input: [256, 256, 3] },
    /\[Conv2d #0\].*values/,
  ],
};
for (const [what, [spec, expected]] of Object.entries(wrongSpecs)) {
  test(`a spec with ${what} is an Error that says where`, async () => {
    await assert.rejects(
      pinhole.createModel(spec, { classes }),
      expected instanceof RegExp ? { name: 'Error', message: expected } : expected,
    );
  });
}

test('another number of class names than the spec tells apart is an Error', async () => {
  await assert.rejects(
    pinhole.createModel(lessonSpec('binary_cnn'), { classes }),
    /BinaryCNN tells 2 classes apart, got 3/,
  );
  await assert.rejects(pinhole.createModel(tinySpec(), { classes: [] }), Error);
  await assert.rejects(
    pinhole.createModel(tinySpec(), { classes, seed: -1 }),
    /seed expected a whole number of 0 or more/,
  );
});

test('a file that is no sound model is an Error that starts with its name', async () => {
  const file = await (await pinhole.createModel(tinySpec(), { classes })).save();
  const flipped = Uint8Array.from(file);
  flipped[flipped.length - 100] ^= 4;
  await assert.rejects(
    pinhole.loadModel(file.subarray(0, 1000), 'pets.safetensors'),
    /^Error: pets\.safetensors is (truncated|damaged)/,
  );
  await assert.rejects(
    pinhole.loadModel(file.subarray(0, file.length - 1), 'pets.safetensors'),
    /^Error: pets\.safetensors is (truncated|damaged)/,
  );
  await assert.rejects(pinhole.loadModel(flipped, 'pets.safetensors'), /^Error: pets\.safetensors is damaged/);
  await assert.rejects(pinhole.loadModel(new Uint8Array(), 'pets.safetensors'), /^Error: pets\.safetensors is empty/);
  await assert.rejects(
    pinhole.loadModel(new File(['just words'], 'words.txt')),
    /^Error: words\.txt is not a safetensors file/,
  );
  await assert.rejects(pinhole.loadModel(noiseImage(0, 1)), /expected bytes/);
});

test('a disposed model says so', async () => {
  const model = await pinhole.createModel(tinySpec(), { classes });
  await model.dispose();
  await model.dispose();
  await assert.rejects(model.classify(noiseImage(0, 1)), { message: 'this model was disposed of' });
});

test('a heat map has the size of the last map, goes from 0 to 1 and is warm where the class is', async () => {
  const model = await pinhole.createModel(tinySpec(), { classes: ['left', 'right'], seed: 1 });
  const data = await pinhole.createDataset({ classes: ['left', 'right'], input: [12, 12, 3] });
  // A bright square in the upper left or in the lower right, of changing brightness.
  const image = (label, brightness) => {
    const pixels = new Uint8ClampedArray(12 * 12 * 4);
    for (let y = 0; y < 12; ++y) {
      for (let x = 0; x < 12; ++x) {
        const isIn = label === 0 ? x < 4 && y < 4 : x >= 8 && y >= 8;
        pixels.set([0, 0, 0, 255].fill(isIn ? brightness : 20, 0, 3), (y * 12 + x) * 4);
      }
    }
    return { data: pixels, width: 12, height: 12 };
  };
  for (const label of [0, 1]) {
    for (let brightness = 150; brightness < 250; brightness += 10) await data.add(image(label, brightness), label);
  }
  await model.train(data, { epochs: 30, batchSize: 4, lr: 0.01 });
  for (const label of [0, 1]) {
    const picture = image(label, 200);
    assert.equal((await model.classify(picture))[0].label, ['left', 'right'][label]);
    const { data: map, width, height } = await model.heatMap(picture, ['left', 'right'][label]);
    assert.deepEqual([width, height, map.length], [6, 6, 36]);
    assert.equal(Math.max(...map), 1);
    assert.ok(Math.min(...map) >= 0);
    // The square and its edge, where only this class has anything.
    const isNear = (x, y) => (label === 0 ? x < 3 && y < 3 : x >= 3 && y >= 3);
    const warm = map.reduce((sum, value, i) => sum + (isNear(i % 6, Math.floor(i / 6)) ? value : 0), 0);
    const all = map.reduce((sum, value) => sum + value, 0);
    assert.ok(warm / all > 0.6, `${warm / all} of the warmth is there`);
    assert.deepEqual(map, (await model.heatMap(picture, label)).data);
  }
  await assert.rejects(model.heatMap(image(0, 200), 'up'), /label expected one of left, right/);
});
