// 10,000 photos in the page: imports as many generated JPEGs of 224x224 from a folder and measures what the page holds meanwhile.
// Takes minutes, so it is a command of its own:  npm run test:many [-- number of images]
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { build } from '../../scripts/build.mjs';
import { serve } from '../../scripts/serve.mjs';
import { privateBytes, renderers } from '../process_memory.mjs';
import { browserArguments, dropOn, engineReady, executablePath } from './page.mjs';

const count = Number(process.argv[2] ?? 10_000);
const limit = 400 << 20;
const classes = ['red', 'green', 'blue', 'grey'];

/** Photographs are noise on gradients as far as a decoder is concerned; each is another one. */
async function generate(page, folder) {
  for (const name of classes) mkdirSync(path.join(folder, name), { recursive: true });
  const atOnce = 50;
  for (let start = 0; start < count; start += atOnce) {
    const some = await page.evaluate(
      async ([from, to]) => {
        const canvas = new OffscreenCanvas(224, 224);
        const context = canvas.getContext('2d');
        const files = [];
        for (let i = from; i < to; ++i) {
          const gradient = context.createLinearGradient(0, 0, 224, (i * 37) % 224);
          gradient.addColorStop(0, `hsl(${(i * 90 + i / 7) % 360} 60% 40%)`);
          gradient.addColorStop(1, `hsl(${(i * 31) % 360} 50% 70%)`);
          context.fillStyle = gradient;
          context.fillRect(0, 0, 224, 224);
          for (let k = 0; k < 40; ++k) {
            const at = Math.imul(i * 40 + k + 1, 2654435761) >>> 0;
            context.fillStyle = `hsl(${at % 360} 70% ${20 + (at % 60)}%)`;
            context.fillRect(at % 224, (at >>> 8) % 224, 4 + ((at >>> 16) % 40), 4 + ((at >>> 22) % 40));
          }
          const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.85 });
          files.push(btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer()))));
        }
        return files;
      },
      [start, Math.min(count, start + atOnce)],
    );
    for (const [k, base64] of some.entries()) {
      const i = start + k;
      writeFileSync(path.join(folder, classes[i % classes.length], `${i}.jpg`), Buffer.from(base64, 'base64'));
    }
  }
}

await build('wasm', 'engine', 'web');
const scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-many-'));
const folder = path.join(scratch, 'photos');
const server = await serve({ port: 4323 });
// A profile on the disk, as users have it: one in memory would keep the stored pictures there.
const context = await chromium.launchPersistentContext(path.join(scratch, 'profile'), {
  executablePath,
  args: browserArguments,
});
try {
  const generator = await context.newPage();
  await generate(generator, folder);
  await generator.close();
  console.log(`${count} images generated`);

  const page = await context.newPage();
  await page.goto(server.url);
  await engineReady(page);
  const measure = () => Math.max(...renderers(path.join(scratch, 'profile')).map(privateBytes));
  const before = measure();
  const started = Date.now();
  await dropOn(page, page.getByRole('heading', { name: 'Drop a folder of photos here' }), [folder]);
  const done = page
    .getByText(`${count.toLocaleString('en')} images in ${classes.length} classes`)
    .waitFor({ timeout: 0 });
  let peak = before;
  let isDone = false;
  void done.then(() => (isDone = true));
  while (!isDone) {
    peak = Math.max(peak, measure());
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await page
    .getByText(`${count.toLocaleString('en')} images added.`)
    .first()
    .waitFor();
  peak = Math.max(peak, measure());
  const seconds = (Date.now() - started) / 1000;
  await page
    .getByRole('button', { name: /^Show all/ })
    .first()
    .click();
  await page.getByRole('list', { name: 'Photos of blue' }).getByRole('button').first().focus();
  await page.keyboard.press('End');
  await page.waitForTimeout(3000);
  peak = Math.max(peak, measure());
  const after = measure();

  await page.waitForTimeout(2000);
  const reloading = Date.now();
  await page.reload();
  await page.getByText(`${count.toLocaleString('en')} images in ${classes.length} classes`).waitFor();
  const reload = (Date.now() - reloading) / 1000;
  const mb = (bytes) => `${Math.round(bytes / 2 ** 20)} MB`;
  console.log(
    `imported in ${seconds.toFixed(0)} s; the page's own memory: ${mb(before)} before, ${mb(peak)} at its peak, ${mb(after)} after; ` +
      `everything is there again ${reload.toFixed(1)} s after a reload`,
  );
  assert.ok(peak < limit, `the page took ${mb(peak)}, more than ${mb(limit)}`);
} finally {
  await context.close();
  await server.close();
  rmSync(scratch, { recursive: true, force: true });
}
