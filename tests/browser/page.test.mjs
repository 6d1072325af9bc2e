// The page as a user has it, in Chromium: by role and label, on the built page and the real engine.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import {
  assertClose,
  classify,
  dropOn,
  engineReady,
  launch,
  native,
  onlyInChromium,
  openPage,
  photoFolder,
  root,
  servePlainly,
  samples,
  shownProbabilities,
} from './page.mjs';

/** Of one test: a page that hangs fails by itself. */
const limit = { timeout: 90_000 };

let browser, server, scratch, photos;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4273 })]);
  scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-page-'));
  photos = photoFolder(['fishes', 'monuments', 'tools'], 8);
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
  if (scratch) rmSync(scratch, { recursive: true });
});

const region = (page, name) => page.getByRole('region', { name, exact: true });
const photosOf = (page, name) => page.getByRole('list', { name: `Photos of ${name}` }).getByRole('listitem');

async function openAdvanced(page) {
  if (!(await page.getByLabel('Epochs').isVisible())) await page.getByText('Advanced', { exact: true }).click();
}

async function setAdvanced(page, values) {
  await openAdvanced(page);
  for (const [label, value] of Object.entries(values))
    await page.getByLabel(label, { exact: true }).fill(String(value));
}

async function train(page, values) {
  await setAdvanced(page, values);
  await page.getByRole('button', { name: /^Train/ }).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
}

test(
  'photos from a folder become classes, train, classify, and the saved model gives the same answers again',
  limit,
  async () => {
    const { page, close } = await openPage(browser, server.url);
    await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await page.getByText('24 images in 3 classes').waitFor();
    for (const name of ['fishes', 'monuments', 'tools'])
      assert.equal(await page.getByLabel(`Add images to ${name}`).count(), 1);

    await openAdvanced(page);
    await page.getByRole('radio', { name: 'MultiClassCNN' }).check();
    await train(page, { Epochs: 20, 'Batch size': 8 });
    assert.match(
      await region(page, 'Validation accuracy').innerText(),
      /\d+\.\d %\s+\d+ of 6 images it was not trained with/,
    );
    for (const name of ['Loss', 'Accuracy']) {
      const chart = page.getByRole('img', { name: new RegExp(`^${name}\\. Training .*, validation `) });
      const drawn = await chart.locator('canvas').evaluate((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value) => value > 0);
      });
      assert.ok(drawn, `the chart ${name} is empty`);
    }
    await page.getByText('Numbers of every epoch').click();
    assert.equal(await page.getByRole('region', { name: 'Numbers of every epoch' }).getByRole('row').count(), 1 + 20);
    const confusion = await page.getByRole('region', { name: 'Confusion matrix' }).getByRole('cell').allInnerTexts();
    assert.equal(
      confusion.map(Number).reduce((sum, count) => sum + count, 0),
      6,
    );
    assert.equal(await page.getByRole('region', { name: 'Precision and recall' }).getByRole('row').count(), 1 + 3);

    // 18 of these 24 it was trained with: a model that has learned says the right class for most, where chance would say 8.
    const before = {};
    let right = 0;
    for (const name of ['fishes', 'monuments', 'tools']) {
      for (const file of readdirSync(path.join(photos.folder, name))) {
        const answer = await classify(page, path.join(photos.folder, name, file));
        const sum = Object.values(answer).reduce((total, probability) => total + probability, 0);
        assert.ok(Math.abs(sum - 1) < 1e-5, `the bars of ${file} sum to ${sum}`);
        const best = Object.keys(answer).reduce((a, b) => (answer[b] > answer[a] ? b : a));
        if (best === name) ++right;
        before[`${name}/${file}`] = answer;
      }
    }
    assert.ok(right >= 17, `${right} of 24 photos were recognised`);
    const [firstFile, firstAnswer] = Object.entries(before).at(-2);
    await page.getByRole('button', { name: `Show ${path.basename(firstFile)}` }).click();
    assert.deepEqual(await shownProbabilities(page), firstAnswer);

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save the model' }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'MultiClassCNN.safetensors');
    const saved = path.join(scratch, 'saved.safetensors');
    await download.saveAs(saved);
    await close();

    // A new page without any data.
    const second = await openPage(browser, server.url);
    await second.page.getByLabel('Open a model file').setInputFiles(saved);
    await second.page.getByText(/From saved\.safetensors.*Validation accuracy/).waitFor();
    for (const [file, answer] of Object.entries(before).slice(0, 6)) {
      assert.deepEqual(await classify(second.page, path.join(photos.folder, file)), answer, file);
    }
    await second.close();

    // The command line reads the same file.
    const [{ probabilities }] = JSON.parse(
      await native('native_classify', '--model', saved, '--json', path.join(photos.folder, firstFile)),
    );
    assertClose(firstAnswer, probabilities, 1e-5, firstFile);
  },
);

test('photos train the pretrained model, several looks of each, unless another is chosen', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('24 images in 3 classes').waitFor();
  await page.getByText(/^32 passes over the images in batches of 32/).waitFor();
  await page.getByText(/^About \d+ s on this device, with \d+ MB of memory: it fits\.$/).waitFor({ timeout: 30_000 });
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
  const [right] = /\d+ of 6 images/.exec(await region(page, 'Validation accuracy').innerText());
  assert.ok(parseInt(right) >= 4, right); // chance would be 2
  const answer = await classify(page, path.join(samples, 'fishes/fish20.jpg'));
  assert.equal(
    Object.keys(answer).reduce((a, b) => (answer[b] > answer[a] ? b : a)),
    'fishes',
  );
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save the model' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'TransferCNN.safetensors');
  const file = readFileSync(await download.path());
  const { __metadata__ } = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE())).toString());
  const { recipe } = JSON.parse(__metadata__.training);
  assert.deepEqual(
    [recipe.augment_views, recipe.nearest_mean_start, recipe.schedule.type, recipe.augment.length],
    [3, true, 'cosine', 2],
  );
  await close();
});

for (const { model, classes } of [
  { model: 'multiclass_cnn', classes: ['fishes', 'monuments', 'tools'] },
  { model: 'binary_cnn', classes: ['fishes', 'tools'] },
]) {
  test(`a ${model} from native_train gives the same probabilities in the page`, limit, async () => {
    const data = photoFolder(classes, 8);
    const file = path.join(scratch, `${model}.safetensors`);
    try {
      await native(
        'native_train',
        '--data',
        data.folder,
        '--model',
        path.join(root, `models/${model}.json`),
        '--epochs',
        '2',
        '--batch-size',
        '8',
        '--out',
        file,
      );
      const tested = classes.flatMap((name) =>
        readdirSync(path.join(samples, name))
          .slice(6, 10)
          .map((photo) => path.join(samples, name, photo)),
      );
      const expected = JSON.parse(await native('native_classify', '--model', file, '--json', ...tested));
      assert.equal(expected.length, tested.length);

      const { page, close } = await openPage(browser, server.url);
      await page.getByLabel('Open a model file').setInputFiles(file);
      await page.getByRole('region', { name: 'Model in use' }).waitFor();
      for (const { path: photo, probabilities } of expected)
        assertClose(await classify(page, photo), probabilities, 1e-5, photo);
      await close();
    } finally {
      data.remove();
    }
  });
}

test(
  'a folder that is dropped becomes classes, and dropped pictures join the class they are dropped on',
  { ...limit, ...onlyInChromium('no other driver drops a folder') },
  async () => {
    const { page, close } = await openPage(browser, server.url);
    await dropOn(page, page.getByRole('heading', { name: 'Drop a folder of photos here' }), [photos.folder]);
    await page.getByText('24 images in 3 classes').waitFor();
    const extra = readdirSync(path.join(samples, 'tools'))
      .slice(10, 12)
      .map((file) => path.join(samples, 'tools', file));
    await dropOn(page, page.getByRole('region', { name: 'Class tools' }), extra);
    await page.getByText('26 images in 3 classes').waitFor();
    assert.match(await page.getByRole('region', { name: 'Class tools' }).innerText(), /10 images/);
    await close();
  },
);

test(
  'classes are made, renamed, emptied photo by photo and deleted, and the last deletion is undone',
  limit,
  async () => {
    const { page, close } = await openPage(browser, server.url);
    await page.getByRole('button', { name: 'Add a class' }).click();
    // The new name is selected: typing replaces it.
    await page.keyboard.type('pliers');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Add a class' }).click();
    await page.keyboard.type('pliers');
    await page.keyboard.press('Enter');
    await page.getByText('There is already a class "pliers"').waitFor();
    const second = page.getByRole('region', { name: 'Class Class 2' });
    await second.getByLabel('Class name').fill('fish');
    await page.keyboard.press('Enter');

    const files = ['fish1.jpg', 'fish2.jpg', 'fish3.jpg'].map((file) => path.join(samples, 'fishes', file));
    await page.getByLabel('Add images to fish').setInputFiles(files);
    await page.getByText('3 images in 2 classes').waitFor();
    assert.equal(await photosOf(page, 'fish').count(), 3);
    assert.match(await page.getByText(/^Add images to pliers/).innerText(), /or delete that class/);
    assert.ok(await page.getByRole('button', { name: 'Train', exact: true }).isDisabled());

    // By keyboard: arrow keys move between photos, Delete removes.
    await page.getByRole('button', { name: 'Remove fish1.jpg' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Delete');
    await page.getByText('2 images in 2 classes').waitFor();
    assert.equal(await page.getByRole('img', { name: 'fish2.jpg' }).count(), 0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('3 images in 2 classes').waitFor();

    await page.getByRole('button', { name: 'Delete fish', exact: true }).click();
    await page.getByText('0 images in 1 class').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('3 images in 2 classes').waitFor();
    await close();
  },
);

test('what is no picture or no model is named beside its control with the reason', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  const text = path.join(scratch, 'notes.jpg');
  const truncated = path.join(scratch, 'cut.jpg');
  const empty = path.join(scratch, 'empty.jpg');
  const photo = readFileSync(path.join(samples, 'fishes/fish1.jpg'));
  writeFileSync(text, 'Plain text, no picture.\n');
  writeFileSync(truncated, photo.subarray(0, 2000));
  writeFileSync(empty, '');

  await page.getByRole('button', { name: 'Add a class' }).click();
  await page
    .getByLabel('Add images to Class 1')
    .setInputFiles([text, path.join(samples, 'fishes/fish1.jpg'), truncated, empty]);
  const data = region(page, 'Data');
  const summary = data.getByRole('alert');
  await summary.waitFor();
  assert.match(await summary.innerText(), /1 image added\. 3 files could not be read:/);
  for (const name of ['notes.jpg', 'cut.jpg', 'empty.jpg']) {
    assert.match(
      await summary.getByRole('listitem').filter({ hasText: name }).innerText(),
      new RegExp(`^${name}: .{10,}`),
    );
  }
  assert.equal(await photosOf(page, 'Class 1').count(), 1);

  const classifyPanel = region(page, 'Classify');
  const noModel = path.join(scratch, 'no-model.safetensors');
  writeFileSync(noModel, photo);
  await page.getByLabel('Open a model file').setInputFiles(noModel);
  await classifyPanel.getByRole('alert').filter({ hasText: 'no-model.safetensors' }).waitFor();

  await setAdvanced(page, { 'Batch size': 0 });
  assert.equal(await page.getByLabel('Batch size').getAttribute('aria-invalid'), 'true');
  await region(page, 'Train').getByText('Expected a whole number from 1 to 4,096.').waitFor();
  await close();
});

test('stop ends training after the present step and keeps the model', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('24 images in 3 classes').waitFor();
  await openAdvanced(page);
  await page.getByRole('radio', { name: 'MultiClassCNN' }).check();
  await setAdvanced(page, { Epochs: 5000, 'Batch size': 8 });
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.getByRole('progressbar', { name: 'Training' }).waitFor();
  await page.getByText(/images\/s · .* left/).waitFor();
  await page.getByRole('img', { name: /^Loss\. Training / }).waitFor();
  // The page answers while the engine works.
  const slowest = await page.evaluate(async () => {
    let longest = 0;
    for (let i = 0; i < 30; ++i) {
      const asked = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 10));
      longest = Math.max(longest, performance.now() - asked);
    }
    return longest;
  });
  assert.ok(slowest < 500, `the page was busy for ${slowest} ms`);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText(/^Stopped after \d+ whole epochs?\./).waitFor();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor();
  const answer = await classify(page, path.join(samples, 'tools/plier1.jpg'));
  assert.deepEqual(Object.keys(answer), ['fishes', 'monuments', 'tools']);
  await close();
});

test(
  'once loaded it works without a network: samples with credits, training, classifying, even a reload',
  limit,
  async () => {
    const { page, context, close } = await openPage(browser, server.url);
    await page.evaluate(() => navigator.serviceWorker.ready.then((registration) => registration.active?.state));
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await context.setOffline(true);
    await page.getByRole('button', { name: 'Load the sample photos' }).click();
    await page.getByText('122 images in 4 classes').waitFor({ timeout: 60_000 });
    await page.getByText('Credits of the 122 sample photos').click();
    await page.getByText(/fish1\.jpg: Karelj, source, Public Domain/).waitFor();
    await openAdvanced(page);
    await page.getByRole('radio', { name: 'FashionCNN' }).check();
    await train(page, { Epochs: 2, 'Batch size': 32 });
    await classify(page, path.join(samples, 'monuments/tajMahal.jpg'));

    await page.reload();
    await engineReady(page);
    await page.getByText('122 images in 4 classes').waitFor();
    await page.getByRole('region', { name: 'Model in use' }).getByText('FashionCNN').waitFor();
    await close();
  },
);

test('on a host that sends no headers the service worker makes the page cross-origin isolated', limit, async () => {
  const plain = await servePlainly();
  const { page, close } = await openPage(browser, plain.url);
  await page.waitForFunction(() => globalThis.crossOriginIsolated, undefined, { timeout: 30_000 });
  await engineReady(page);
  await close();
  plain.close();
});
