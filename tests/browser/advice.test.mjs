// What the page says about the data before training: too few, unbalanced, duplicates and look-alikes, each with a click that helps.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { launch, openPage, samples } from './page.mjs';
import { importSource } from './source.mjs';

const limit = { timeout: 90_000 };

let browser, server, folder;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4293 })]);
  folder = mkdtempSync(path.join(tmpdir(), 'pinhole-advice-'));
});

after(async () => {
  await browser?.close();
  await server?.close();
  if (folder) rmSync(folder, { recursive: true });
});

const advice = (page, text) =>
  page.getByRole('region', { name: 'Advice on the data' }).getByRole('listitem').filter({ hasText: text }).first();

/** The same photo as another program would save it: smaller, brighter, packed anew. */
async function savedAgain(page, file) {
  const base64 = await page.evaluate(
    async (bytes) => {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
      const canvas = new OffscreenCanvas(Math.round(bitmap.width * 0.7), Math.round(bitmap.height * 0.7));
      const context = canvas.getContext('2d');
      context.filter = 'brightness(1.05)';
      context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.7 });
      return btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));
    },
    [...readFileSync(file)],
  );
  return Buffer.from(base64, 'base64');
}

test('copies, look-alikes and contradictions are found, shown and removed with a click', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  const put = (name, from) => {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    if (typeof from === 'string') cpSync(path.join(samples, from), path.join(folder, name));
    else writeFileSync(path.join(folder, name), from);
  };
  for (let i = 1; i <= 6; ++i) put(`fish/${i}.jpg`, `fishes/fish${i}.jpg`);
  put('fish/z-copy.jpg', 'fishes/fish1.jpg');
  put('fish/2-smaller.jpg', await savedAgain(page, path.join(samples, 'fishes/fish2.jpg')));
  put('tool/a.jpg', 'tools/plier1.jpg');
  put('tool/b.jpg', 'tools/hammer1.jpg');
  put('tool/wrong.jpg', 'fishes/fish3.jpg');
  await page.getByLabel('Choose a folder').setInputFiles(folder);
  await page.getByText('11 images in 2 classes').waitFor();

  await advice(page, 'fish (8) and tool (3) have few images.').waitFor();
  await advice(page, '1 image is there more than once in its class.').waitFor();
  await advice(page, '1 image looks almost like another of the same class').waitFor();
  const contradiction = advice(page, '1 image is in more than one class');
  await contradiction.getByRole('button', { name: 'Show them' }).click();
  await contradiction.getByRole('button', { name: 'Remove wrong.jpg from tool' }).click();
  await page.getByText('10 images in 2 classes').waitFor();
  await contradiction.waitFor({ state: 'detached' });
  await advice(page, 'fish has 4.0 times the images of tool.').waitFor();

  await page.getByRole('button', { name: 'Let classes count alike' }).click();
  assert.equal(await page.getByRole('button', { name: 'Classes count alike' }).getAttribute('aria-pressed'), 'true');

  await page.getByRole('button', { name: 'Remove the copies' }).click();
  await page.getByText('9 images in 2 classes').waitFor();
  await page.getByRole('button', { name: 'Keep one of each' }).click();
  await page.getByText('8 images in 2 classes').waitFor();
  await advice(page, 'more than once').waitFor({ state: 'detached' });
  await advice(page, 'looks almost like').waitFor({ state: 'detached' });
  assert.equal(await page.getByRole('button', { name: 'Remove 1.jpg', exact: true }).count(), 1);
  await page.getByRole('button', { name: 'Undo' }).click();
  await advice(page, 'looks almost like').waitFor();

  await advice(page, 'few images').getByRole('button', { name: 'Add images to tool' }).click();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'Add images to tool');
  await close();
});

test('the sample photos are told apart: none of them looks almost like another', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  await page.getByRole('button', { name: 'Load the sample photos' }).click();
  await page.getByText('122 images in 4 classes').waitFor({ timeout: 60_000 });
  await page.waitForTimeout(1500);
  assert.equal(await page.getByRole('region', { name: 'Advice on the data' }).count(), 0);
  await close();
});

test('what looks alike is held out together or not at all, as long as its class keeps half of what it held out', async () => {
  const { withoutLeaks } = await importSource('web/app/advice/duplicates.ts');
  const photos = [1, 2, 3, 4, 5, 6, 7, 8].map((id) => ({ id, label: id <= 4 ? 0 : 1 }));
  const held = [true, true, false, false, true, true, true, true];
  // 2 is like 3, which is learned from; 5 and 6 are alike, and both are held out.
  assert.deepEqual(
    withoutLeaks(photos, held, [
      [2, 3],
      [5, 6],
    ]),
    [true, false, false, false, true, true, true, true],
  );
  assert.deepEqual(withoutLeaks(photos, held, [[1, 2, 3]]), [false, true, false, false, true, true, true, true]);
});
