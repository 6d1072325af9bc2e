// Models of Teachable Machine (TensorFlow.js layers models): they give TensorFlow.js' own answers, which tests/golden/layers_models holds;
// what Pinhole does not have, and files that are not what they should be, are said in one sentence.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { zipSync } from 'fflate';
import { largest, load, png, root, run, runNative, variants, withEngine } from './support.mjs';

const goldens = path.join(root, 'tests/golden/layers_models');
const [height, width] = [20, 16];

/** Name -> bytes. `change` gets the parsed model.json and metadata.json. */
function filesOf(name, change = () => {}) {
  const read = (file) => readFileSync(path.join(goldens, name, file));
  const [model, metadata] = ['model.json', 'metadata.json'].map((file) => JSON.parse(read(file)));
  const files = { 'weights.bin': new Uint8Array(read('weights.bin')) };
  change(model, metadata, files);
  const json = (value) => new TextEncoder().encode(JSON.stringify(value));
  return { 'model.json': json(model), 'metadata.json': json(metadata), ...files };
}

const golden = (name) => JSON.parse(readFileSync(path.join(goldens, name, 'golden.json'), 'utf8'));

function imageOf(bytes) {
  const data = new Uint8ClampedArray((bytes.length / 3) * 4).fill(255);
  for (let i = 0; i < bytes.length / 3; ++i) data.set(bytes.slice(3 * i, 3 * i + 3), 4 * i);
  return { data, width, height };
}

/** The largest difference of a probability from the golden's. */
async function difference(model, name) {
  const { pictures, answers } = golden(name);
  const worst = [];
  for (const [i, picture] of pictures.entries()) {
    const found = new Map((await model.classify(imageOf(picture))).map((one) => [one.label, one.probability]));
    worst.push(largest(model.classes.map((label, c) => Math.abs(found.get(label) - answers[i][c]))));
  }
  return largest(worst);
}

let pinhole, folder;
before(async () => {
  pinhole = await load({ variant: 'simd' });
  folder = mkdtempSync(path.join(tmpdir(), 'pinhole-teachable-'));
});
after(() => {
  pinhole.dispose();
  rmSync(folder, { recursive: true, force: true });
});

for (const name of ['v2', 'v1']) {
  test(`${name}: TensorFlow.js' answers, in every build and after saving, and natively`, async () => {
    for (const variant of variants) {
      await withEngine({ variant, threads: 2 }, async (engine) => {
        const model = await engine.importTeachableMachine(filesOf(name));
        assert.deepEqual(model.classes, ['cat', 'Möwe', 'none of them']);
        assert.equal(model.summary().name, `tm-${name}`);
        assert(largest([await difference(model, name)]) < 1e-5, variant);
        const saved = await engine.loadModel(await model.save());
        assert.equal(await difference(saved, name), await difference(model, name));
        assert.equal(saved.training.imported_from, 'Teachable Machine');
      });
    }
    const model = await pinhole.importTeachableMachine(filesOf(name));
    const file = path.join(folder, `${name}.safetensors`);
    writeFileSync(file, await model.save());
    const { pictures, answers } = golden(name);
    for (const [i, picture] of pictures.entries()) {
      const image = path.join(folder, `${name}${i}.png`);
      writeFileSync(
        image,
        png(width, height, (x, y) => picture.slice((y * width + x) * 3, (y * width + x) * 3 + 3)),
      );
      const [{ probabilities }] = JSON.parse(await runNative('native_classify', ['--model', file, '--json', image]));
      assert(largest(model.classes.map((label, c) => Math.abs(probabilities[label] - answers[i][c]))) < 1e-5);
    }
  });
}

test('of wider and taller pictures only the middle is looked at, in every program', async () => {
  const model = await pinhole.importTeachableMachine(filesOf('v2'));
  assert.equal(model.spec.crop, 'center');
  const file = path.join(folder, 'middle.safetensors');
  writeFileSync(file, await model.save());
  const saved = await pinhole.loadModel(await model.save());
  const picture = golden('v2').pictures[1];
  const [inner, label] = [imageOf(picture), model.classes[0]];
  for (const [left, top] of [
    [9, 0],
    [0, 7],
  ]) {
    const [wide, tall] = [width + 2 * left, height + 2 * top];
    const at = (x, y) =>
      x < left || x >= left + width || y < top || y >= top + height
        ? [255, 0, 255]
        : picture.slice(((y - top) * width + x - left) * 3).slice(0, 3);
    const data = new Uint8ClampedArray(wide * tall * 4).fill(255);
    for (let y = 0; y < tall; ++y) for (let x = 0; x < wide; ++x) data.set(at(x, y), (y * wide + x) * 4);
    const outer = { data, width: wide, height: tall };
    for (const one of [model, saved]) {
      assert.deepEqual(await one.classify(outer), await one.classify(inner));
      assert.deepEqual(await one.heatMap(outer, label), await one.heatMap(inner, label));
    }
    const image = path.join(folder, `middle${left}.png`);
    writeFileSync(image, png(wide, tall, at));
    const [{ probabilities }] = JSON.parse(await runNative('native_classify', ['--model', file, '--json', image]));
    assert(largest(model.classes.map((one, c) => Math.abs(probabilities[one] - golden('v2').answers[1][c]))) < 1e-5);
    const { classes } = model;
    const cropped = await pinhole.createDataset({ classes, input: [height, width, 3], crop: 'center' });
    await cropped.add(outer, 0);
    const part = await cropped.subset([0]);
    assert.deepEqual([...(await part.pixels(0)).data], picture);
    await model.evaluate(part);
    const whole = await pinhole.createDataset({ classes, input: [height, width, 3] });
    await whole.add(outer, 0);
    const message = /^the model looks at the middle of a picture, the data set holds the whole: "crop"$/;
    await assert.rejects(model.evaluate(whole), { message });
    await assert.rejects(model.train(cropped, { epochs: 1, val: whole }), { message });
  }
  await assert.rejects(pinhole.createDataset({ classes: ['a', 'b'], input: [8, 8, 3], crop: 'top' }), {
    message: `crop expected 'center', got "top"`,
  });
  await assert.rejects(pinhole.createModel({ ...model.spec, crop: true }, { classes: model.classes }), {
    message: '[model] "crop" expected "center", got true',
  });
});

test('the trunk stays as it is in a training, the head learns', async () => {
  const model = await pinhole.importTeachableMachine(filesOf('v2'));
  const data = await pinhole.createDataset({ classes: model.classes, input: [height, width, 3], crop: 'center' });
  for (const [i, picture] of golden('v2').pictures.entries()) await data.add(imageOf(picture), i % 3);
  const tensors = async () => {
    const file = await model.save();
    const size = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + size)));
    return (name) => Buffer.from(file.subarray(8 + size).subarray(...header[name].data_offsets)).toString('base64');
  };
  const before = await tensors();
  await model.train(data, { epochs: 2, lr: 0.01 });
  const after = await tensors();
  for (const name of ['Conv1.weight', 'bn_Conv1.running_mean', 'add.body.dw.weight', 'plain_BN.running_var'])
    assert.equal(after(name), before(name), name);
  for (const name of ['dense_Dense1.weight', 'dense_Dense2.weight']) assert.notEqual(after(name), before(name), name);
});

test('older and newer ways of writing the same model', async () => {
  const forms = {
    'Model for Functional': (model) => {
      const text = JSON.stringify(model.modelTopology).replaceAll('"Functional"', '"Model"');
      model.modelTopology = JSON.parse(text);
    },
    'a list of layers without a config around it': (model) => {
      const whole = model.modelTopology.model_config ?? model.modelTopology;
      whole.config = whole.config.layers;
    },
    'inside model_config': (model) => {
      model.modelTopology = {
        keras_version: '2',
        model_config: model.modelTopology.model_config ?? model.modelTopology,
      };
    },
    'weights in two files': (model, _, files) => {
      const all = files['weights.bin'];
      model.weightsManifest[0].paths = ['group1-shard1of2.bin', 'group1-shard2of2.bin'];
      files['group1-shard1of2.bin'] = all.subarray(0, 1001);
      files['group1-shard2of2.bin'] = all.subarray(1001);
      delete files['weights.bin'];
    },
  };
  for (const [what, change] of Object.entries(forms)) {
    const model = await pinhole.importTeachableMachine(filesOf('v2', change));
    assert((await difference(model, 'v2')) < 1e-5, what);
  }
});

/** Writes every weight in another way; gives the widest step between two values that can be told apart. */
function quantize(model, files, dtype) {
  const all = new Float32Array(files['weights.bin'].buffer.slice(0));
  const parts = [];
  let at = 0;
  for (const entry of model.weightsManifest[0].weights) {
    const size = entry.shape.reduce((product, length) => product * length, 1);
    const values = all.subarray(at, at + size);
    at += size;
    if (dtype === 'float16') {
      entry.quantization = { dtype, original_dtype: 'float32' };
      parts.push(new Uint8Array(Uint16Array.from(values, halfOf).buffer));
      continue;
    }
    const min = Math.min(...values);
    const levels = dtype === 'uint8' ? 255 : 65535;
    const scale = (Math.max(...values) - min) / levels || 1;
    entry.quantization = { dtype, min, scale };
    const steps = Array.from(values, (value) => Math.round((value - min) / scale));
    parts.push(new Uint8Array(dtype === 'uint8' ? Uint8Array.from(steps) : Uint16Array.from(steps).buffer));
  }
  files['weights.bin'] = Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Of a number whose exponent a half has, rounded down. */
function halfOf(value) {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  const exponent = ((bits >>> 23) & 255) - 112;
  const sign = (bits >>> 16) & 0x8000;
  return exponent <= 0 ? sign : sign | (exponent << 10) | ((bits >>> 13) & 1023);
}

test('weights in half precision and as bytes are near', async () => {
  for (const [dtype, tolerance] of [
    ['float16', 5e-3],
    ['uint16', 1e-3],
    ['uint8', 0.1],
  ]) {
    const files = filesOf('v2', (model, _, parts) => {
      quantize(model, parts, dtype);
    });
    const found = await difference(await pinhole.importTeachableMachine(files), 'v2');
    assert(found > 0 && found < tolerance, `${dtype}: ${found}`);
  }
});

/** The layer called `name`, wherever it is. */
function layerIn(value, name) {
  if (typeof value !== 'object' || value === null) return undefined;
  if (value.class_name && value.config?.name === name) return value;
  return Object.values(value).reduce((found, inside) => found ?? layerIn(inside, name), undefined);
}

test('what is missing, damaged or unknown is one sentence that says what and where', async () => {
  const layer = (name, change) => (model) => {
    change(layerIn(model, name));
  };
  const cases = [
    [layer('Conv1_relu', (one) => (one.class_name = 'LeakyReLU')), /^the layer Conv1_relu \(LeakyReLU\) is of a kind that Pinhole does not have$/],
    [layer('Conv1_relu', (one) => (one.config.max_value = 4)), /Conv1_relu \(ReLU\) has a max_value/],
    [layer('Conv1', (one) => (one.config.data_format = 'channels_first')), /Conv1 \(Conv2D\) has its channels first/],
    [layer('Conv1', (one) => (one.config.strides = [0, 2])), /Conv1 \(Conv2D\) has strides \[0,2\]/],
    [layer('Conv1', (one) => (one.config.padding = 'causal')), /Conv1 \(Conv2D\) has the padding "causal"/],
    [layer('Conv1_pad', (one) => (one.config.padding = [[2, 0], [0, 1]])), /Conv1 \(Conv2D\) has zeros around it that differ \(2, 0, 0, 1\)/], // prettier-ignore
    [layer('dense_Dense1', (one) => (one.config.activation = 'elu')), /dense_Dense1 \(Dense\) has the activation "elu"/],
    [layer('bn_Conv1', (one) => (one.config.axis = 1)), /bn_Conv1 \(BatchNormalization\) normalises axis 1/],
    [layer('add', (one) => (one.class_name = 'Concatenate')), /add \(Concatenate\) takes several inputs/],
    [layer('project', (one) => (one.config.name = 'other')), /other \(Conv2D\) has no weights other\/kernel/],
    [(model) => (model.weightsManifest[0].weights[0].shape[3] = 9), /weights\.bin: the weights end in the middle of|expected \d+ bytes of weights/],
    [(model) => (model.weightsManifest[0].weights[0].dtype = 'complex64'), /is stored as "complex64", expected float32/],
    [(model) => (model.format = 'graph-model'), /graph model.*expected a layers model/],
    [(model) => delete model.modelTopology, /^model\.json is damaged, or no layers model of TensorFlow\.js: "modelTopology" is missing$/],
    [(_, metadata) => metadata.labels.pop(), /tells 3 classes apart, but metadata\.json names 2/],
    [(_, metadata) => delete metadata.labels, /metadata\.json has no "labels"/],
    [(_, __, files) => (files['weights.bin'] = files['weights.bin'].subarray(0, 5000)), /the weights end in the middle of \S+; expected \d+ bytes or more, got 5000/],
    [(_, __, files) => delete files['weights.bin'], /^weights\.bin is missing; a model of Teachable Machine is metadata\.json, model\.json and weights\.bin, got model\.json, metadata\.json$/],
  ]; // prettier-ignore
  for (const [change, message] of cases)
    await assert.rejects(pinhole.importTeachableMachine(filesOf('v2', change)), (error) => {
      assert.match(error.message, message);
      assert.match(error.message, /^[^\n]{10,300}$/);
      return true;
    });
  const text = new TextEncoder().encode('{"labels": ');
  await assert.rejects(
    pinhole.importTeachableMachine({ ...filesOf('v2'), 'metadata.json': text }),
    /metadata\.json is damaged: it is not JSON/,
  );
  await assert.rejects(pinhole.importTeachableMachine({}), /metadata\.json is missing.*got no file/);
  // And the engine is as it was.
  assert((await difference(await pinhole.importTeachableMachine(filesOf('v1')), 'v1')) < 1e-5);
});

test('names that are taken or no names, and classes called alike', async () => {
  const files = filesOf('v1', (model, metadata) => {
    layerIn(model, 'conv1').config.name = '1 conv/ä';
    for (const entry of model.weightsManifest[0].weights) entry.name = entry.name.replace(/^conv1/, '1 conv/ä');
    const names = JSON.stringify(model.modelTopology).replaceAll('"conv1"', '"1 conv/ä"');
    model.modelTopology = JSON.parse(names);
    metadata.labels = ['cat', 'cat', 'dog'];
  });
  const model = await pinhole.importTeachableMachine(files);
  assert.deepEqual(model.classes, ['cat', 'cat (2)', 'dog']);
  assert(model.summary().layers.some(({ name }) => name === '_1_conv__'));
  assert((await difference(model, 'v1')) < 1e-5);
});

test('npm run import takes the folder and the zip, and says what is neither', async () => {
  const script = path.join(root, 'scripts/import.mjs');
  const call = (...args) => run(process.execPath, [script, ...args], { env: { ...process.env, INIT_CWD: folder } });
  const { code, stderr } = await call(path.join(goldens, 'v2'), '--out', 'from_folder.safetensors');
  assert.equal(code, 0, stderr);
  const parts = Object.entries(filesOf('v2')).map(([name, bytes]) => [`my_model/${name}`, bytes]);
  writeFileSync(path.join(folder, 'pets.zip'), zipSync(Object.fromEntries(parts)));
  const zipped = await call('pets.zip');
  assert.equal(zipped.code, 0, zipped.stderr);
  assert.match(zipped.stdout, /cat, Möwe, none of them\nwrote .*pets\.safetensors \(tm-v2, 20x16x3, \d+ parameters\)/);
  const [a, b] = ['from_folder.safetensors', 'pets.safetensors'].map((name) => readFileSync(path.join(folder, name)));
  assert.deepEqual(a, b);
  const model = await pinhole.loadModel(new Uint8Array(b));
  assert((await difference(model, 'v2')) < 1e-5);
  writeFileSync(path.join(folder, 'notes.txt'), 'text');
  for (const [args, message] of [
    [['notes.txt'], /notes\.txt is no zip file that can be read, and no folder/],
    [['nothing'], /nothing does not exist/],
    [[], /expected one PATH, got 0/],
  ]) {
    const failed = await call(...args);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, message);
  }
});
