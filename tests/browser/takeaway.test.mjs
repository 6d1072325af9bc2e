// What one takes away: the page in one file, opened from the disk, and the model card.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import { serve } from '../../scripts/serve.mjs';
import { assertClose, classify, launch, native, openPage, photoFolder, samples } from './page.mjs';
import { importSource } from './source.mjs';

/** Of one test: a page that hangs fails by itself. */
const limit = { timeout: 120_000 };

let browser, server, photos, scratch;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4276 })]);
  photos = photoFolder(['fishes', 'monuments', 'tools'], 12);
  scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-takeaway-'));
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
  if (scratch) rmSync(scratch, { recursive: true });
});

async function withModel() {
  const opened = await openPage(browser, server.url);
  const { page } = opened;
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('36 images in 3 classes').waitFor();
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByRole('radio', { name: 'MultiClassCNN' }).check();
  await page.getByLabel('Epochs').fill('4');
  await page.getByLabel('Validation split').fill('0.25');
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Train again', exact: true }).waitFor();
  await page.getByText('Take it away').click();
  return opened;
}

async function saved(page, button) {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button, exact: true }).click(),
  ]);
  const file = path.join(scratch, download.suggestedFilename());
  await download.saveAs(file);
  return file;
}

const tested = ['fishes', 'monuments', 'tools'].flatMap((name) =>
  readdirSync(path.join(samples, name))
    .slice(-2)
    .map((file) => path.join(samples, name, file)),
);

test(
  'the HTML file, opened from the disk, gives the probabilities of the page and asks nobody for anything',
  limit,
  async () => {
    const { page, close } = await withModel();
    const expected = [];
    for (const photo of tested) expected.push(await classify(page, photo));
    const file = await saved(page, 'Save as a web page');
    assert.equal(path.basename(file), 'MultiClassCNN.html');
    await close();

    const context = await browser.newContext();
    const alone = await context.newPage();
    const faults = [];
    alone.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    alone.on('pageerror', (error) => faults.push(error.message));
    context.on('request', (request) => {
      if (!/^(blob|data):/.test(request.url()) && request.url() !== pathToFileURL(file).href)
        faults.push(request.url());
    });
    await context.setOffline(true);
    await alone.goto(pathToFileURL(file).href);
    await alone.getByRole('status').getByText('Ready.').waitFor({ timeout: 20_000 });
    for (const [i, photo] of tested.entries()) {
      await alone.getByLabel('Choose a picture').setInputFiles(photo);
      const article = alone.getByRole('article', { name: path.basename(photo) });
      const meters = article.getByRole('list', { name: 'Probabilities' }).getByRole('meter');
      await meters.first().waitFor();
      const pairs = await meters.evaluateAll((all) =>
        all.map((meter) => [meter.getAttribute('aria-label'), meter.value]),
      );
      assertClose(Object.fromEntries(pairs), expected[i], 1e-5, photo);
    }
    // What is no picture is said so.
    await alone
      .getByLabel('Choose a picture')
      .setInputFiles({ name: 'notes.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('text') });
    await alone
      .getByRole('status')
      .getByText(/^notes\.jpg: .{10,}/)
      .waitFor();
    assert.deepEqual(faults, []);
    // It may not fetch even if somebody made it try.
    const refused = await alone.evaluate(() =>
      fetch('https://example.org/').then(
        () => false,
        () => true,
      ),
    );
    assert.ok(refused);
    await context.close();
  },
);

test('names that look like markup stay text in the HTML file and in the card', async () => {
  const { htmlFile } = await importSource('web/engine/takeaway/html.ts');
  const { modelCard } = await importSource('web/app/takeaway/card.ts');
  const name = '</script><img src=x onerror=alert(1)>|`\n# evil';
  const text = await htmlFile({
    name,
    about: name,
    classes: [name],
    threshold: 0,
    model: Uint8Array.of(1, 2, 3),
    glue: 'var Module = "</script>"; export{Module as default};',
    wasm: Uint8Array.of(4),
    runtime: 'const s = "<!--";',
  });
  assert.ok(!text.includes('<img'));
  assert.equal(text.match(/<\/script>/g).length, 5, 'each script element ends once');
  assert.ok(!text.includes('<!--'));
  await assert.rejects(
    htmlFile({ name, about: '', classes: [], threshold: 0, glue: 'nothing', runtime: '' }),
    /does not end in its export/,
  );
  const card = modelCard({
    name,
    classes: [name, 'b'],
    parameters: 1,
    input: [8, 8, 3],
    layers: [],
    fileName: 'x.safetensors',
    training: {},
    date: '2026-01-01',
  });
  assert.ok(!/^# evil/m.test(card));
});

test('the model card is filled in with counts, split, seed and results with their intervals', limit, async () => {
  const { page, close } = await withModel();
  const card = readFileSync(await saved(page, 'Save the model card'), 'utf8');
  const interval = await page.getByText(/^0\.\d\d, between 0\.\d\d and 0\.\d\d with 9 images$/).innerText();
  const [, accuracy, low, high] = /^(\S+), between (\S+) and (\S+) with/.exec(interval);
  assert.ok(card.startsWith('# MultiClassCNN\n'));
  for (const name of ['fishes', 'monuments', 'tools']) assert.ok(card.includes(`| ${name} | 9 | 3 |`), card);
  assert.ok(card.includes('| All | 27 | 9 |'));
  assert.match(card, /drawn at random within each class \(seed 0\)/);
  assert.ok(
    card.includes(
      `Accuracy on 9 images that were held out: **${accuracy}**, between ${low} and ${high} (95 % interval`,
    ),
  );
  assert.match(card, /- Epochs: 4\n/);
  assert.match(card, /Confusion matrix/);
  assert.ok(!/undefined|NaN|\[object/.test(card), card);
  await close();
});

test('ONNX files and the Python source are those that native_export makes of the saved model', limit, async () => {
  const { page, close } = await withModel();
  const model = await saved(page, 'Save the model');
  const files = {
    'onnx-classifier': await saved(page, 'Save as ONNX'),
    onnx: await saved(page, 'Save the bare network as ONNX'),
  };
  await page.getByRole('button', { name: 'See it in PyTorch' }).click();
  const dialog = page.getByRole('dialog', { name: 'In PyTorch' });
  const shown = await dialog.getByRole('region', { name: 'Python source' }).innerText();
  files.torch = await saved(page, 'Save MultiClassCNN.py');
  assert.equal(path.basename(await saved(page, 'Save MultiClassCNN.safetensors')), path.basename(model));
  await dialog.getByRole('button', { name: 'Close' }).click();
  await dialog.waitFor({ state: 'detached' });
  await close();

  assert.deepEqual(
    Object.values(files).map((file) => path.basename(file)),
    ['MultiClassCNN-classifier.onnx', 'MultiClassCNN.onnx', 'MultiClassCNN.py'],
  );
  mkdirSync(path.join(scratch, 'native'));
  for (const [format, file] of Object.entries(files)) {
    const expected = path.join(scratch, 'native', path.basename(file));
    await native('native_export', '--model', model, '--format', format, '--out', expected);
    assert.ok(readFileSync(file).equals(readFileSync(expected)), `${format} differs from native_export's`);
  }
  const source = readFileSync(files.torch, 'utf8');
  assert.equal(shown.trim(), source.trim());
  assert.match(source, /^class MultiClassCNN\(nn\.Module\):$/m);
  assert.match(source, /"MultiClassCNN\.safetensors"/);
  execFileSync('python3', ['-c', 'import ast, sys; ast.parse(open(sys.argv[1]).read())', files.torch]);
});

test('a card of a model that tells nothing about its training says so', async () => {
  const { modelCard } = await importSource('web/app/takeaway/card.ts');
  const card = modelCard({
    name: 'Old',
    classes: ['a', 'b'],
    parameters: 10,
    input: [8, 8, 1],
    layers: [{ name: 'fc', type: 'Linear', output: [1, 1, 2] }],
    fileName: 'old.safetensors',
    training: { validation: 'yes', data: [], options: null },
    date: '2026-01-01',
  });
  assert.match(card, /Images of each class: not recorded\./);
  assert.match(card, /It was not tested on images that were held out\./);
  assert.ok(!/undefined|NaN|null/.test(card), card);
});
