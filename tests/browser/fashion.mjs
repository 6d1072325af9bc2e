// Fashion-MNIST in the page, as a person does it: its training images as a folder of classes, the model FashionSmall without "Nudge" and
// label smoothing, "Train", and the saved model tried on the test images in Node; once for each seed, one after the other. Prints the
// seconds from the button to the result and the test accuracy. Takes ten minutes or more, so it is a command of its own:
//   node tests/browser/fashion.mjs [--images 60000] [--epochs 7] [--seeds 0,1,2]
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { build } from '../../scripts/build.mjs';
import { serve } from '../../scripts/serve.mjs';
import { datasetOf, fashionMnist, side } from '../fashion_mnist.mjs';
import { load, png } from '../wasm/support.mjs';
import { browserArguments, dropOn, engineReady, executablePath } from './page.mjs';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '60000' },
    epochs: { type: 'string', default: '7' },
    seeds: { type: 'string', default: '0,1,2' },
  },
});
const count = Number(values.images);
const seeds = values.seeds.split(',');
const classes = Array.from({ length: 10 }, (_, i) => String(i));

await build('wasm', 'engine', 'web');
const scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-fashion-'));
const folder = path.join(scratch, 'fashion');
for (const name of classes) mkdirSync(path.join(folder, name), { recursive: true });
const { pixels, labels } = fashionMnist('train', count);
for (const [i, label] of labels.entries()) {
  const grey = (x, y) => new Array(3).fill(pixels[side * side * i + side * y + x]);
  writeFileSync(path.join(folder, String(label), `${String(i).padStart(5, '0')}.png`), png(side, side, grey));
}
console.log(`${count} pictures written`);

const server = await serve({ port: 4324 });
const context = await chromium.launchPersistentContext(path.join(scratch, 'profile'), {
  executablePath,
  args: browserArguments,
});
const models = [];
try {
  const page = await context.newPage();
  await page.goto(server.url);
  console.log(await engineReady(page));
  const importing = Date.now();
  await dropOn(page, page.getByRole('heading', { name: 'Drop a folder of photos here' }), [folder]);
  await page
    .getByText(`${count.toLocaleString('en')} images added.`)
    .first()
    .waitFor({ timeout: 0 });
  console.log(`imported in ${((Date.now() - importing) / 1000).toFixed(0)} s`);
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByRole('radio', { name: 'FashionSmall' }).check();
  await page.getByLabel('Epochs', { exact: true }).fill(values.epochs);
  // The recipe's for thirty epochs; a few learn more from the pictures as they are.
  await page.getByRole('checkbox', { name: 'Nudge', exact: true }).uncheck();
  await page.getByLabel('Label smoothing', { exact: true }).fill('0');
  await page.getByLabel('Validation split', { exact: true }).fill('0');
  for (const seed of seeds) {
    await page.getByLabel('Seed', { exact: true }).fill(seed);
    const begun = Date.now();
    await page.getByRole('button', { name: /^Train( again)?$/ }).click();
    await page
      .getByText(/^Epoch \d+ of/)
      .first()
      .waitFor({ timeout: 0 });
    console.log(`prepared in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
    await page.getByText(/^Trained in/).waitFor({ timeout: 0 });
    const seconds = (Date.now() - begun) / 1000;
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save the model', exact: true }).click(),
    ]);
    const file = path.join(scratch, 'fashion.safetensors');
    await download.saveAs(file);
    models.push(readFileSync(file));
    console.log(`seed ${seed}, ${values.epochs} epochs: ${seconds.toFixed(0)} s from the button to the result`);
  }
} finally {
  await context.close();
  await server.close();
  rmSync(scratch, { recursive: true, force: true });
}

const pinhole = await load({ variant: 'simd-threads' });
try {
  const test = fashionMnist('t10k', 10_000);
  const images = await datasetOf(pinhole, test, classes);
  const best = (row) => row.indexOf(Math.max(...row));
  for (const [i, model] of models.entries()) {
    const trained = await pinhole.loadModel(model);
    const probabilities = await trained.predictAll(images);
    const right = test.labels.filter(
      (label, row) => best(probabilities.subarray(10 * row, 10 * row + 10)) === label,
    ).length;
    console.log(`seed ${seeds[i]}: test accuracy ${(right / test.labels.length).toFixed(4)}`);
    await trained.dispose();
  }
} finally {
  pinhole.dispose();
}
