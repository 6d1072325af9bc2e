// The whole project as one zip: opened again here it is the same, and elsewhere it is an ImageFolder.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { unzipSync, zipSync } from 'fflate';
import { serve } from '../../scripts/serve.mjs';
import { classify, launch, native, openPage, photoFolder, samples } from './page.mjs';

const limit = { timeout: 120_000 };

let browser, server, scratch, photos;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4313 })]);
  scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-project-'));
  photos = photoFolder(['fishes', 'monuments', 'tools'], 6);
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
  if (scratch) rmSync(scratch, { recursive: true });
});

test(
  'a project is saved as a zip that opens again here, and that native_train reads as an image folder',
  limit,
  async () => {
    const { page, close } = await openPage(browser, server.url);
    await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await page.getByText('18 images in 3 classes').waitFor();
    // A name that is no folder's, and two files of one name.
    await page.getByRole('region', { name: 'Class tools' }).getByLabel('Class name').fill('tools/misc');
    await page.keyboard.press('Enter');
    await page.getByLabel('Add images to tools/misc').setInputFiles(path.join(samples, 'tools/cuttingTool.jpg'));
    await page.getByText('19 images in 3 classes').waitFor();
    await page.getByText('Advanced', { exact: true }).click();
    await page.getByRole('radio', { name: 'FashionCNN' }).check();
    await page.getByLabel('Epochs', { exact: true }).fill('4');
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Train again' }).waitFor();
    const photo = path.join(samples, 'tools/plier1.jpg');
    const before = await classify(page, photo);
    const confusion = await page.getByRole('region', { name: 'Confusion matrix' }).innerText();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save the project' }).click(),
    ]);
    const saved = path.join(scratch, 'project.zip');
    await download.saveAs(saved);
    await close();

    const files = unzipSync(readFileSync(saved));
    assert.deepEqual([...new Set(Object.keys(files).map((name) => name.split('/')[0]))].sort(), [
      'fishes',
      'model.safetensors',
      'monuments',
      'project.json',
      'tools_misc',
    ]);
    assert.deepEqual(Buffer.from(files['fishes/fish1.jpg']), readFileSync(path.join(samples, 'fishes/fish1.jpg')));
    assert.ok(files['tools_misc/cuttingTool (2).jpg']);

    // In a page that has trained something else, of which nothing may be left.
    const again = await openPage(browser, server.url);
    await again.page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await again.page.getByText('18 images in 3 classes').waitFor();
    await again.page.getByRole('button', { name: 'Train', exact: true }).click();
    await again.page.getByRole('button', { name: 'Train again' }).waitFor({ timeout: 60_000 });
    await again.page.getByText(/^First answer after/).waitFor();
    await again.page.getByLabel('Open a project file').setInputFiles(saved);
    await again.page.getByText('19 images in 3 classes').waitFor();
    await again.page.getByRole('region', { name: 'Class tools/misc' }).waitFor();
    await again.page.getByRole('region', { name: 'Model in use' }).waitFor();
    assert.deepEqual(await classify(again.page, photo), before);
    assert.equal(await again.page.getByRole('region', { name: 'Confusion matrix' }).innerText(), confusion);
    await again.page.getByRole('img', { name: /^Loss\. Training / }).waitFor();
    await again.page.getByText('Advanced', { exact: true }).click();
    assert.equal(await again.page.getByLabel('Epochs', { exact: true }).inputValue(), '4');
    assert.equal(await again.page.getByText(/^First answer after/).count(), 0);
    await again.close();

    const folder = path.join(scratch, 'unpacked');
    for (const [name, content] of Object.entries(files)) {
      if (!name.includes('/')) continue;
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), content);
    }
    const out = path.join(scratch, 'native.safetensors');
    await native('native_train', '--data', folder, '--model', 'fashion_cnn', '--epochs', '1', '--out', out);
    const [{ probabilities }] = JSON.parse(await native('native_classify', '--model', out, '--json', photo));
    assert.deepEqual(Object.keys(probabilities).sort(), ['fishes', 'monuments', 'tools_misc']);
  },
);

test('a zip that is no project, or a damaged one, leaves the present project as it is', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('18 images in 3 classes').waitFor();
  const alert = page.getByRole('region', { name: 'Data', exact: true }).getByRole('alert');
  for (const [name, content, sentence] of [
    [
      'photos.zip',
      { 'a/1.jpg': readFileSync(path.join(samples, 'tools/plier1.jpg')) },
      /photos\.zip is no project of this page/,
    ],
    ['cut.zip', { 'project.json': Buffer.from('{"pinhole_project": 1,') }, /cut\.zip: its project\.json is damaged/],
    [
      'new.zip',
      { 'project.json': Buffer.from('{"pinhole_project": 99}') },
      /new\.zip: its project\.json is damaged or of another version/,
    ],
  ]) {
    const file = path.join(scratch, name);
    writeFileSync(file, zipSync(content));
    await page.getByLabel('Open a project file').setInputFiles(file);
    await alert.getByText(sentence).waitFor();
    await page.getByText('18 images in 3 classes').waitFor();
  }
  await close();
});
