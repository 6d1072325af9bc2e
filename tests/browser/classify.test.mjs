// Classifying as a user does it: pasted pictures, many at once, the camera, and "not sure".
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { zipSync } from 'fflate';
import { serve } from '../../scripts/serve.mjs';
import { png } from '../wasm/support.mjs';
import {
  assertClose,
  classify,
  dropOn,
  launch,
  onlyInChromium,
  openPage,
  pasteOn,
  photoFolder,
  root,
  samples,
  shownProbabilities,
} from './page.mjs';
import { importSource } from './source.mjs';

/** Of one test: a page that hangs fails by itself. */
const limit = { timeout: 120_000 };

let browser, server, photos, scratch;

before(async () => {
  [browser, server] = await Promise.all([launch({ camera: true }), serve({ port: 4275 })]);
  photos = photoFolder(['fishes', 'monuments', 'tools'], 12);
  scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-classify-'));
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
  if (scratch) rmSync(scratch, { recursive: true });
});

/** A page with a model trained for a moment; half of the images are held out. */
async function withModel(epochs = 3) {
  const opened = await openPage(browser, server.url);
  const { page } = opened;
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('36 images in 3 classes').waitFor();
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByRole('radio', { name: 'MultiClassCNN' }).check();
  await page.getByLabel('Epochs').fill(String(epochs));
  await page.getByLabel('Validation split').fill('0.5');
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Train again', exact: true }).waitFor();
  return opened;
}

const resultOf = (page) => page.getByRole('region', { name: 'Result' });

test('CSV: one row each, fields quoted where they must be, no formula for a spreadsheet', async () => {
  const { csvOf } = await importSource('web/app/evaluation/csv.ts');
  const of = (a, b) => [
    { label: 'cat, black', probability: a },
    { label: 'dog', probability: b },
  ];
  assert.equal(
    csvOf(
      ['cat, black', 'dog'],
      [
        { name: 'a "b".jpg', probabilities: of(0.75, 0.25) },
        { name: '=1+1.jpg', probabilities: of(0.4, 0.6) },
      ],
      0.7,
    ),
    'file,label,probability,sure,"cat, black",dog\r\n"a ""b"".jpg","cat, black",0.75,yes,0.75,0.25\r\n\'=1+1.jpg,dog,0.6,no,0.4,0.6\r\n',
  );
});

test(
  'a dropped folder is classified into a table, and its CSV says the same',
  { ...limit, ...onlyInChromium('no other driver drops a folder') },
  async () => {
    const { page, close } = await withModel();
    await dropOn(page, page.getByText('Drop pictures here, paste one, or'), [photos.folder]);
    const summary = page.getByText('All 36 pictures as a table');
    await summary.waitFor({ timeout: 30_000 });
    await summary.click();
    const rows = await page
      .getByRole('region', { name: 'All classified pictures' })
      .getByRole('row')
      .evaluateAll((all) => all.slice(1).map((row) => Array.from(row.cells, ({ textContent }) => textContent.trim())));
    assert.equal(rows.length, 36);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save as CSV' }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'classified.csv');
    const [head, ...lines] = readFileSync(await download.path(), 'utf8')
      .trim()
      .split('\r\n');
    assert.equal(head, 'file,label,probability,sure,fishes,monuments,tools');
    assert.equal(lines.length, 36);
    const names = ['fishes', 'monuments', 'tools'];
    const tableOf = new Map(rows.map(([name, label]) => [name, label]));
    for (const line of lines) {
      const [file, label, probability, sure, ...all] = line.split(',');
      const numbers = all.map(Number);
      assert.ok(Math.abs(numbers.reduce((a, b) => a + b) - 1) < 1e-5, line);
      assert.equal(names[numbers.indexOf(Math.max(...numbers))], label);
      assert.equal(Number(probability), Math.max(...numbers));
      assert.equal(tableOf.get(file), sure === 'yes' ? label : `not sure (${label}?)`);
    }
    // A row leads back to its picture.
    const [name] = rows[20];
    await page.getByRole('region', { name: 'All classified pictures' }).getByRole('button', { name }).click();
    await resultOf(page).getByRole('img', { name, exact: true }).waitFor();
    await close();
  },
);

test('below the fitted threshold it says "Not sure", also after the model was saved and opened', limit, async () => {
  const { page, close } = await withModel(1);
  const evaluation = page.getByRole('region', { name: 'Evaluation', exact: true });
  const text = await evaluation.getByText(/it says "not sure"|It answers every image/).innerText();
  const seen = async (at) => {
    const answers = [];
    for (const folder of ['fishes', 'monuments', 'tools']) {
      for (const file of readdirSync(path.join(samples, folder)).slice(-4)) {
        const top = Math.max(...Object.values(await classify(at, path.join(samples, folder, file))));
        answers.push({ top, isSure: (await resultOf(at).getByText('Not sure', { exact: true }).count()) === 0 });
      }
    }
    return answers;
  };
  const answers = await seen(page);
  const sure = answers.filter(({ isSure }) => isSure).map(({ top }) => top);
  const unsure = answers.filter(({ isSure }) => !isSure).map(({ top }) => top);
  if (text.includes('every image')) assert.equal(unsure.length, 0);
  else assert.ok(unsure.length > 0, `after one epoch it is sure of everything: ${text}`);
  assert.ok(Math.min(...sure, 1) >= Math.max(...unsure, 0), 'one threshold parts them');

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save the model' }).click(),
  ]);
  const file = await download.path();
  const second = await openPage(browser, server.url);
  await second.page
    .getByLabel('Open a model file')
    .setInputFiles({ name: 'saved.safetensors', mimeType: '', buffer: readFileSync(file) });
  await second.page.getByText(/From saved\.safetensors/).waitFor();
  assert.deepEqual(await seen(second.page), answers);
  await second.close();
  await close();
});

test('calibrated probabilities are those of the fitted temperature', limit, async () => {
  const { page, close } = await withModel(4);
  const raw = await classify(page, path.join(samples, 'tools/wrench.jpg'));
  const box = page.getByRole('checkbox', { name: /^Calibrated probabilities \(temperature / });
  const temperature = Number(
    /temperature ([\d.]+)/.exec(await page.getByText(/^Calibrated probabilities/).innerText())[1],
  );
  await box.check();
  const scaled = await shownProbabilities(page);
  const { tempered } = await importSource('web/app/evaluation/calibration.ts');
  const names = Object.keys(raw);
  // The temperature on the screen has two decimals.
  tempered(Object.values(raw), temperature).forEach((expected, c) =>
    assert.ok(Math.abs(scaled[names[c]] - expected) < 0.02, `${names[c]}: ${scaled[names[c]]}, ${expected}`),
  );
  await box.uncheck();
  assert.deepEqual(await shownProbabilities(page), raw);
  await close();
});

test('a pasted picture gives what the same file gives', limit, async () => {
  const { page, close } = await withModel();
  const file = path.join(samples, 'tools/plier1.jpg');
  const expected = await classify(page, file);
  const region = page.getByRole('region', { name: 'Classify', exact: true });
  await region.focus();
  await pasteOn(region, file, 'pasted.jpg');
  await resultOf(page).getByRole('img', { name: 'pasted.jpg', exact: true }).waitFor();
  assert.deepEqual(await shownProbabilities(page), expected);
  await close();
});

test('the camera is classified live until it is stopped', limit, async () => {
  const { page, close } = await withModel();
  // A camera that sees one sample photo, and another one when told.
  await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 224, height: 224 });
    let seen;
    globalThis.see = async (name) => {
      const picture = Object.assign(new Image(), { src: `./samples/photos/${name}` });
      await picture.decode();
      seen = picture;
    };
    await globalThis.see('fishes/fish1.jpg');
    setInterval(() => canvas.getContext('2d').drawImage(seen, 0, 0, 224, 224), 50);
    navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(20);
  });
  await page.getByRole('button', { name: 'Use the camera' }).click();
  const live = page.getByRole('region', { name: 'Camera', exact: true });
  const meters = live.getByRole('list', { name: 'Probabilities' }).getByRole('meter');
  await meters.first().waitFor();
  const values = () => meters.evaluateAll((all) => all.map((meter) => Number(meter.getAttribute('aria-valuenow'))));
  const first = await values();
  assert.ok(Math.abs(first.reduce((a, b) => a + b) - 1) < 1e-5);
  await page.evaluate(() => globalThis.see('tools/wrench.jpg'));
  for (let i = 0; i < 50 && (await values()).join() === first.join(); ++i) await page.waitForTimeout(100);
  assert.notDeepEqual(await values(), first);
  await page.getByRole('button', { name: 'Stop the camera' }).click();
  await page.getByRole('button', { name: 'Use the camera' }).waitFor();
  assert.equal(await live.count(), 0);
  await close();
});

test('the heat map lies over the picture, and says where it is warm', limit, async () => {
  const { page, close } = await withModel();
  await classify(page, path.join(samples, 'monuments/eiffelTower.jpg'));
  const box = page.getByRole('checkbox', { name: 'Show what it looked at' });
  await box.check();
  const map = page.getByRole('img', {
    name: /^What in eiffelTower\.jpg speaks for \w+: (nothing|mostly the \w+ \w+)$/,
  });
  await map.waitFor();
  const { size, over, colours } = await map.evaluate((canvas) => {
    const picture = canvas.parentElement.querySelector('img').getBoundingClientRect();
    const own = canvas.getBoundingClientRect();
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return {
      size: [canvas.width, canvas.height],
      over: ['x', 'y', 'width', 'height'].map((key) => Math.abs(own[key] - picture[key])),
      colours: new Set(new Uint32Array(data.buffer)).size,
    };
  });
  assert.deepEqual(size, [28, 28]);
  assert.ok(Math.max(...over) < 1, `${over} px beside the picture`);
  assert.ok(colours > 20, `${colours} colours`);
  // Another picture gets its own; unchecked there is none.
  await classify(page, path.join(samples, 'monuments/tajMahal.jpg'));
  await page.getByRole('img', { name: /^What in tajMahal\.jpg speaks for/ }).waitFor();
  await box.uncheck();
  assert.equal(await page.getByRole('img', { name: /speaks for/ }).count(), 0);
  await close();
});

test('a model of Teachable Machine opens from its zip, dropped too, and from its three files', limit, async () => {
  const folder = path.join(root, 'tests/golden/layers_models/v2');
  const names = ['metadata.json', 'model.json', 'weights.bin'];
  const files = names.map((name) => path.join(folder, name));
  const zip = path.join(scratch, 'tm-my-image-model.zip');
  writeFileSync(zip, zipSync(Object.fromEntries(names.map((name, i) => [name, readFileSync(files[i])]))));
  const picture = path.join(scratch, 'golden.png');
  const golden = JSON.parse(readFileSync(path.join(folder, 'golden.json'), 'utf8'));
  const [bytes, answers] = [golden.pictures[1], golden.answers[1]];
  writeFileSync(
    picture,
    png(16, 20, (x, y) => bytes.slice((y * 16 + x) * 3, (y * 16 + x) * 3 + 3)),
  );
  const expected = Object.fromEntries(['cat', 'Möwe', 'none of them'].map((label, c) => [label, answers[c]]));

  const { page, close } = await openPage(browser, server.url);
  const card = page.getByRole('region', { name: 'Model in use' });
  await page.getByLabel('Open a model file').setInputFiles(zip);
  await card.getByRole('heading', { name: 'tm-v2' }).waitFor();
  await card.getByText('Of wider or taller pictures it looks at the middle only.').waitFor();
  assertClose(await classify(page, picture), expected, 1e-5);

  await page.getByLabel('Open a model file').setInputFiles(files.slice(0, 2));
  await page.getByText(/^weights\.bin is missing; a model of Teachable Machine is/).waitFor();
  assertClose(await classify(page, picture), expected, 1e-5, 'the model before is still in use');
  await page.getByLabel('Open a model file').setInputFiles(files);
  await page.getByText(/^weights\.bin is missing/).waitFor({ state: 'detached' });
  assertClose(await classify(page, picture), expected, 1e-5);

  // Opened in the middle of a classification, it is shown all of the pictures.
  const many = Array.from({ length: 200 }, (_, i) => ({
    name: `${i}.png`,
    mimeType: 'image/png',
    buffer: readFileSync(picture),
  }));
  await page.getByLabel('Choose a picture to classify').setInputFiles(many);
  await page.getByLabel('Open a model file').setInputFiles(zip);
  await page.getByText('200 pictures classified.').waitFor();
  assertClose(await shownProbabilities(page), expected, 1e-5);

  // It is kept over a reload, the note with it, and saved as a file of ours.
  await page.reload();
  await card.getByText('Of wider or taller pictures').waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save the model', exact: true }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'tm-v2.safetensors');
  await close();

  // Dropped, before there is a model; and a zip of pictures is still pictures.
  const second = await openPage(browser, server.url);
  await dropOn(second.page, second.page.getByRole('heading', { name: 'No model yet' }), [zip]);
  await second.page.getByRole('region', { name: 'Model in use' }).getByRole('heading', { name: 'tm-v2' }).waitFor();
  const pictures = path.join(scratch, 'pictures.zip');
  writeFileSync(pictures, zipSync({ 'some/golden.png': readFileSync(picture) }));
  await dropOn(second.page, second.page.getByText('Drop pictures here, paste one, or'), [pictures]);
  await second.page.getByRole('region', { name: 'Result' }).getByText('golden.png').first().waitFor();
  assertClose(await shownProbabilities(second.page), expected, 1e-5);
  writeFileSync(pictures, 'no zip');
  await dropOn(second.page, second.page.getByText('Drop pictures here, paste one, or'), [pictures]);
  await second.page.getByText('pictures.zip: this is no zip file, or it is incomplete').waitFor();
  await second.close();
});
