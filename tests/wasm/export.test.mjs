// Exports: the module writes the very files that native_export writes, and ONNX Runtime and PyTorch, where they are installed, give
// Pinhole's answers. `npm run test:exports` does the same for more models.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { installed } from '../bench/peers.mjs';
import { exportCases, verifyExport } from '../interop/export_cases.mjs';
import { load, photoFolder, run, runNative, tinySpec } from './support.mjs';

// Before the first test: the runner starts while this file still waits.
const runtime = installed('onnxruntime-node');
const torch = await run('/usr/bin/python3', ['-c', 'import torch, numpy, PIL']).then(
  ({ code }) => code === 0,
  () => false,
);

let folder, pinhole;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'pinhole-export-test-'));
  pinhole = await load({ variant: 'simd' });
});
after(() => {
  pinhole.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const classes = ['red', 'grün', 'blue'];

test('the module and native_export write the same files', async () => {
  const model = await pinhole.createModel(tinySpec(), { classes, seed: 5 });
  model.training = { options: { epochs: 3 } };
  const file = path.join(folder, 'tiny.safetensors');
  writeFileSync(file, await model.save());
  const native = async (format, out) => {
    await runNative('native_export', ['--model', file, '--format', format, '--out', path.join(folder, out)]);
    return readFileSync(path.join(folder, out));
  };
  assert.deepEqual(Buffer.from(await model.exportOnnx()), await native('onnx', 'tiny.onnx'));
  assert.deepEqual(
    Buffer.from(await model.exportOnnx({ form: 'classifier' })),
    await native('onnx-classifier', 'whole.onnx'),
  );
  assert.equal(await model.exportTorch({ weights: 'tiny.safetensors' }), (await native('torch', 'tiny.py')).toString());
  assert.match(await model.exportTorch(), /model\.safetensors/);
  assert.equal(await model.exportHtml(), (await native('html', 'tiny.html')).toString());
});

test('what is inside the HTML file gives the same answers', async () => {
  const model = await pinhole.createModel(tinySpec(), { classes, seed: 5 });
  const file = path.join(folder, 'page.safetensors');
  writeFileSync(file, await model.save());
  const args = ['--model', file, '--format', 'html', '--verify', photoFolder, '--pictures', '6'];
  assert.match(
    await runNative('native_export', args),
    /equal {2}its WebAssembly and Pinhole on 6 pictures.* 6 of 6 labels agree/,
  );
  const html = await model.exportHtml({ title: 'A & B', about: 'About.', threshold: 0.7 });
  assert.match(html, /<title>A &amp; B<\/title>/);
  assert.match(html, /"threshold":0\.7/);
});

test('a form that does not exist is an Error', async () => {
  const model = await pinhole.createModel(tinySpec(), { classes });
  await assert.rejects(model.exportOnnx({ form: 'tflite' }), /'network' or 'classifier', got "tflite"/);
});

test('a layer that PyTorch has not in this place is an Error that names it', async () => {
  const spec = tinySpec();
  spec.layers.splice(4, 1, { type: 'Conv2d', name: 'late', out_channels: 3, kernel_size: 1 });
  const model = await pinhole.createModel(spec, { classes });
  await assert.rejects(model.exportOnnx(), /\[Conv2d late\].*Flatten/);
  await assert.rejects(model.exportTorch(), /\[Conv2d late\].*Flatten/);
});

/** Every format of every case agrees with Pinhole on some of the photos. */
async function allAgree(formats, options) {
  let count = 0;
  for await (const { name, file, spec } of exportCases({ folder, pictures: 4, epochs: 2, ...options })) {
    for (const format of formats) {
      const { parity, problem } = await verifyExport({ file, format, photos: 16 });
      assert.equal(problem, undefined, `${name} as ${format}: ${JSON.stringify(spec)}`);
      assert.ok(parity.pictures === 16 && parity.largest_difference < 1e-4);
      ++count;
    }
  }
  assert.ok(count > 0);
}

test(
  'ONNX Runtime gives the probabilities of the models and of random chains, in both forms',
  { skip: runtime ? false : 'onnxruntime-node is not in the cache (npm run export fetches it)' },
  () =>
    allAgree(['onnx', 'onnx-classifier'], {
      models: ['binary_cnn', 'multiclass_cnn', 'fashion_cnn'],
      chains: 4,
      seed: 100,
    }),
);

test(
  'PyTorch gives the probabilities of random chains',
  { skip: torch ? false : 'no Python with torch, numpy and Pillow' },
  () => allAgree(['torch'], { models: [], chains: 2, seed: 200 }),
);
