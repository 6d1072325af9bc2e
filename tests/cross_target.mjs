// One training of three epochs on Fashion-MNIST that changes its target twice, an epoch in WebAssembly, one natively and one in
// WebAssembly again, against three native epochs: prints how far apart losses and saved weights are. By hand, as it takes minutes; the
// tests hold a small one to 1e-4 (tests/wasm/resume.test.mjs). Roundings that differ grow from step to step: on 2,000 images the losses
// are 5e-7, 4e-4 and 2e-3 apart after the three epochs, just as those of two sets of native kernels are (--backend simd:avx2, simd:sse2).
//
//   node tests/cross_target.mjs [--images 60000] [--data /usr/share/datasets/fashion-mnist] [--variant simd-threads]
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { datasetOf, fashionFolder, fashionMnist, firstOf } from './fashion_mnist.mjs';
import { lessonSpec, load, nativeFolder, root, run } from './wasm/support.mjs';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '60000' },
    data: { type: 'string', default: fashionFolder },
    variant: { type: 'string', default: 'simd-threads' },
  },
});
const count = Number(values.images);
const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-cross-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

mkdirSync(path.join(folder, 'data'));
for (const kind of ['images', 'labels']) {
  const { name, bytes } = firstOf('train', kind, count, values.data);
  writeFileSync(path.join(folder, 'data', name), bytes);
}
const images = fashionMnist('train', count, values.data);
const classes = Array.from({ length: Math.max(...new Set(images.labels)) + 1 }, (_, i) => String(i));

const options = { batchSize: 32, lr: 0.001, seed: 3 };
async function native(name, epochs, ...more) {
  const out = path.join(folder, name);
  const { code, stderr } = await run(path.join(nativeFolder, 'native_train'), [
    ...['--data', path.join(folder, 'data'), '--model', path.join(root, 'models/fashion_cnn.json'), '--out', out],
    ...['--epochs', String(epochs), '--batch-size', String(options.batchSize), '--lr', String(options.lr)],
    ...['--seed', String(options.seed), '--val-split', '0', '--recipe', 'none', ...more],
  ]);
  assert.equal(code, 0, stderr);
  return readFileSync(out);
}

const pinhole = await load({ variant: values.variant });
try {
  const whole = await pinhole.loadModel(await native('whole', 3));
  const spec = lessonSpec('fashion_cnn');
  const data = await datasetOf(pinhole, images, classes);
  const fresh = () => pinhole.createModel(spec, { classes, seed: options.seed });
  let state;
  await (await fresh()).train(data, { epochs: 1, ...options, onState: (event) => ({ state } = event) });
  const stateFile = path.join(folder, 'state', 'state.safetensors');
  mkdirSync(path.dirname(stateFile));
  writeFileSync(stateFile, state);
  await native('second', 2, '--checkpoint', path.dirname(stateFile), '--resume');
  const mixed = await fresh();
  const { epochs } = await mixed.train(data, { epochs: 3, resumeFrom: readFileSync(stateFile) });

  const expected = whole.training.history;
  for (const [i, { trainLoss }] of epochs.entries()) {
    const other = expected[i].train_loss;
    const off = (Math.abs(trainLoss - other) / other).toExponential(1);
    console.log(`epoch ${i + 1}: loss ${other.toFixed(6)} native, ${trainLoss.toFixed(6)} mixed, relative ${off}`);
  }
  const [p, q] = [await whole.predictAll(data), await mixed.predictAll(data)];
  let [largest, agree] = [0, 0];
  for (let i = 0; i < count; ++i) {
    const row = (values) => values.subarray(i * classes.length, (i + 1) * classes.length);
    const best = (values) => values.indexOf(Math.max(...values));
    agree += best(row(p)) === best(row(q)) ? 1 : 0;
    row(p).forEach((value, c) => (largest = Math.max(largest, Math.abs(value - row(q)[c]))));
  }
  console.log(`largest difference of a probability ${largest.toExponential(1)}; ${agree} of ${count} labels agree`);
} finally {
  pinhole.dispose();
}
