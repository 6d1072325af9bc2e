// The page and the command line are one program: each loads the other's files, and the same training gives the same curve.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { largest, lessonSpec, load, photoFolder, photos, root, runNative, variants } from './support.mjs';

let folder;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'pinhole-native-test-'));
});
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** An ImageFolder of the first photos of some classes. */
function imageFolder(name, classes, perClass) {
  const target = path.join(folder, name);
  for (const photo of photos(classes, perClass)) {
    mkdirSync(path.join(target, path.dirname(photo.name)), { recursive: true });
    cpSync(photo.file, path.join(target, photo.name));
  }
  return target;
}

async function dataset(pinhole, classes, input, perClass) {
  const data = await pinhole.createDataset({ classes, input });
  const { skipped } = await data.addMany(
    photos(classes, perClass).map(({ bytes, label, name }) => ({ image: bytes, label, name })),
  );
  assert.deepEqual(skipped, []);
  return data;
}

const cases = {
  multiclass_cnn: ['fishes', 'monuments', 'renewable', 'tools'],
  binary_cnn: ['fishes', 'tools'],
};
const perClass = 5;

/** The largest difference between what the command line and the module say of the photos. */
async function difference(model, modelFile, classes) {
  const answers = JSON.parse(
    await runNative('native_classify', [
      '--model',
      modelFile,
      '--json',
      ...classes.map((name) => path.join(photoFolder, name)),
    ]),
  );
  const byPath = new Map(answers.map((answer) => [path.resolve(answer.path), answer]));
  const differences = [];
  for (const { file, bytes } of photos(classes, Infinity)) {
    const answer = byPath.get(file);
    const found = await model.classify(bytes);
    if (found[0].probability - found[1].probability > 1e-4) assert.equal(found[0].label, answer.label);
    for (const { label, probability } of found) differences.push(Math.abs(probability - answer.probabilities[label]));
  }
  assert.ok(differences.length >= 2 * 40);
  return largest(differences);
}

for (const variant of variants) {
  for (const [name, classes] of Object.entries(cases)) {
    test(`${variant} loads what native_train wrote, and gives its probabilities on every photo to 1e-5 (${name})`, async () => {
      const file = path.join(folder, `${name}-native.safetensors`);
      await runNative('native_train', [
        '--data',
        imageFolder(name, classes, perClass),
        '--model',
        path.join(root, 'models', `${name}.json`),
        '--out',
        file,
        '--epochs',
        '2',
        '--lr',
        '1e-4',
        '--batch-size',
        '8',
        '--val-split',
        '0',
      ]);
      const pinhole = await load({ variant, threads: variant === 'simd' ? 1 : 2 });
      try {
        const model = await pinhole.loadModel(readFileSync(file), file);
        assert.deepEqual(model.classes, classes);
        assert.match(model.training.program, /^native_train/);
        const most = await difference(model, file, classes);
        assert.ok(most < 1e-5, `probabilities differ by ${most}`);
      } finally {
        pinhole.dispose();
      }
    });

    test(`native_classify loads what ${variant} wrote, and gives its probabilities on every photo to 1e-5 (${name})`, async () => {
      const pinhole = await load({ variant, threads: variant === 'simd' ? 1 : 2 });
      try {
        const model = await pinhole.createModel(lessonSpec(name), { classes });
        await model.train(await dataset(pinhole, classes, model.spec.input, perClass), {
          epochs: 2,
          lr: 1e-4,
          batchSize: 8,
        });
        const file = path.join(folder, `${name}-${variant}.safetensors`);
        writeFileSync(file, await model.save());
        const most = await difference(model, file, classes);
        assert.ok(most < 1e-5, `probabilities differ by ${most}`);
      } finally {
        pinhole.dispose();
      }
    });
  }

  for (const [optimizer, lr] of [
    ['sgd', 1e-4],
    ['adam', 1e-4],
  ]) {
    test(`the same training gives the same loss curve natively and in ${variant} to 1e-4 (${optimizer})`, async () => {
      const classes = cases.multiclass_cnn;
      const log = path.join(folder, `${variant}-${optimizer}.jsonl`);
      await runNative('native_train', [
        '--data',
        imageFolder('curve', classes, perClass),
        '--model',
        path.join(root, 'models/multiclass_cnn.json'),
        '--out',
        path.join(folder, 'curve.safetensors'),
        '--epochs',
        '4',
        '--batch-size',
        '4',
        '--optimizer',
        optimizer,
        '--lr',
        String(lr),
        '--seed',
        '3',
        '--val-split',
        '0.2',
        '--log',
        log,
      ]);
      const lines = readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      const nativeSteps = lines.filter((line) => 'step' in line),
        nativeEpochs = lines.filter((line) => 'train_loss' in line);

      const pinhole = await load({ variant, threads: variant === 'simd' ? 1 : 2 });
      try {
        const model = await pinhole.createModel(lessonSpec('multiclass_cnn'), { classes, seed: 3 });
        const { train, val } = await (await dataset(pinhole, classes, model.spec.input, perClass)).split(0.2, 3);
        const steps = [];
        const { epochs } = await model.train(train, {
          epochs: 4,
          batchSize: 4,
          optimizer,
          lr,
          seed: 3,
          val,
          onStep: (step) => {
            steps.push(step);
          },
        });
        assert.deepEqual(
          steps.map(({ step, epoch }) => [step, epoch]),
          nativeSteps.map(({ step, epoch }) => [step, epoch]),
        );
        assert.equal(steps.length, 16);
        const relative = (a, b) => Math.abs(a - b) / Math.max(Math.abs(b), 0.01);
        const most = largest([
          ...steps.map(({ loss }, i) => relative(loss, nativeSteps[i].loss)),
          ...epochs.flatMap(({ trainLoss, valLoss }, i) => [
            relative(trainLoss, nativeEpochs[i].train_loss),
            relative(valLoss, nativeEpochs[i].val_loss),
          ]),
        ]);
        assert.ok(most < 1e-4, `losses differ by ${most}`);
        assert.deepEqual(
          epochs.map(({ trainAccuracy, valAccuracy }) => [trainAccuracy, valAccuracy]),
          nativeEpochs.map((line) => [line.train_accuracy, line.val_accuracy]),
        );
      } finally {
        pinhole.dispose();
      }
    });
  }
}
