// The way that everybody goes, in every browser that there is: images in, trained, classified, saved, opened again. Made of what
// Playwright and the small client of webkit.mjs have in common; the other files go deeper, and know Playwright's browsers only.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { zipSync } from 'fflate';
import { serve } from '../../scripts/serve.mjs';
import { assertClose, classify, engineReady, launch, native, openPage, photoFolder, samples } from './page.mjs';

/** WebKit has neither threads nor a graphics card here; on a busy machine it takes its time. */
const patience = { timeout: 240_000 };
const limit = { timeout: 600_000 };
const classes = ['fishes', 'monuments', 'tools'];

let browser, server, scratch, photos;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4333 })]);
  scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-core-'));
  photos = photoFolder(classes, 8);
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
  if (scratch) rmSync(scratch, { recursive: true });
});

const tested = classes.map((name) => path.join(samples, name, readdirSync(path.join(samples, name)).sort().at(-1)));

async function train(page, values) {
  await page.getByText('Advanced', { exact: true }).click();
  for (const [label, value] of Object.entries(values))
    await page.getByLabel(label, { exact: true }).fill(String(value));
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor(patience);
  await page.getByRole('button', { name: 'Train again', exact: true }).waitFor();
}

async function answers(page) {
  const all = {};
  for (const photo of tested) all[photo] = await classify(page, photo);
  return all;
}

async function saved(page, button, name) {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button, exact: true }).click(),
  ]);
  const file = path.join(scratch, name);
  await download.saveAs(file);
  return file;
}

test(
  'a folder of photos trains a model that classifies, is saved, and says the same where it is opened',
  limit,
  async () => {
    const { page, close } = await openPage(browser, server.url);
    await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await page.getByText('24 images in 3 classes').waitFor(patience);
    await train(page, { Epochs: 5, 'Batch size': 8 });
    await page.getByRole('img', { name: /^Loss\. Training .*, validation / }).waitFor();
    const expected = await answers(page);
    const file = await saved(page, 'Save the model', 'core.safetensors');
    await close();

    const second = await openPage(browser, server.url);
    await second.page.getByLabel('Open a model file').setInputFiles(file);
    await second.page.getByText(/From core\.safetensors.*Validation accuracy/).waitFor();
    assert.deepEqual(await answers(second.page), expected);
    await second.close();

    const said = JSON.parse(await native('native_classify', '--model', file, '--json', ...tested));
    for (const { path: photo, probabilities } of said) assertClose(expected[photo], probabilities, 1e-5, photo);
  },
);

test(
  'a zip of photos becomes classes; a reload and a saved project bring back data, curves and model',
  limit,
  async () => {
    const { page, close } = await openPage(browser, server.url);
    const zip = path.join(scratch, 'photos.zip');
    const entries = classes.flatMap((name) =>
      readdirSync(path.join(photos.folder, name)).map((file) => [
        `photos/${name}/${file}`,
        readFileSync(path.join(photos.folder, name, file)),
      ]),
    );
    writeFileSync(zip, zipSync(Object.fromEntries(entries)));
    await page.getByLabel('Choose a zip file').setInputFiles(zip);
    await page.getByText('24 images in 3 classes').waitFor(patience);
    await train(page, { Epochs: 3, 'Batch size': 8 });
    const expected = await answers(page);
    const confusion = await page.getByRole('region', { name: 'Confusion matrix' }).innerText();
    await page.waitForTimeout(1500);

    const isSame = async (again) => {
      await again.getByText('24 images in 3 classes').waitFor(patience);
      await again.getByRole('region', { name: 'Model in use' }).waitFor();
      await again.getByRole('img', { name: /^Loss\. Training / }).waitFor();
      assert.equal(await again.getByRole('region', { name: 'Confusion matrix' }).innerText(), confusion);
      assert.deepEqual(await answers(again), expected);
    };
    const keeps = await page.evaluate(() => typeof navigator.storage?.getDirectory === 'function');
    if (keeps) {
      await page.reload();
      await engineReady(page);
      await isSame(page);
    } else {
      await page
        .getByText(/^This project is not kept: this browser has no private file system for pages\. Save it/)
        .waitFor();
    }
    const project = await saved(page, 'Save the project', 'project.zip');
    await close();

    const second = await openPage(browser, server.url);
    await second.page.getByLabel('Open a project file').setInputFiles(project);
    await isSame(second.page);
    await second.close();
  },
);
