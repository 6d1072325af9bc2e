// Takes the pictures that web/README.md shows:  node tests/browser/screenshots.mjs [folder] [state ...]
// Every main state of the page, at a phone's, a laptop's and a projector's width, light and dark.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serve } from '../../scripts/serve.mjs';
import { classify, launch, openPage, photoFolder, samples } from './page.mjs';

const folder = path.resolve(process.argv[2] ?? mkdtempSync(path.join(tmpdir(), 'pinhole-screenshots-')));
const wanted = process.argv.slice(3);
const widths = { 360: 740, 1024: 768, 1920: 1080 };

mkdirSync(folder, { recursive: true });
const photos = photoFolder(['fishes', 'monuments', 'renewable', 'tools'], 27);
const [browser, server] = await Promise.all([launch(), serve({ port: 4290 })]);
try {
  for (const colorScheme of ['light', 'dark']) {
    const { page, close } = await openPage(browser, server.url, {
      colorScheme,
      viewport: { width: 1920, height: 1080 },
    });
    const shoot = async (state) => {
      if (wanted.length && !wanted.includes(state)) return;
      for (const [width, height] of Object.entries(widths)) {
        await page.setViewportSize({ width: Number(width), height });
        await page.waitForTimeout(400);
        await page.screenshot({ path: path.join(folder, `${state}-${width}-${colorScheme}.png`), fullPage: true });
      }
      await page.setViewportSize({ width: 1920, height: 1080 });
    };
    await shoot('first');
    await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await page.getByText(/^\d+ images in 4 classes$/).waitFor({ timeout: 60_000 });
    await page.getByText(/^About .* on this device/).waitFor({ timeout: 30_000 });
    await shoot('data');
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByText(/images\/s · .* left/).waitFor({ timeout: 30_000 });
    await page.waitForTimeout(1500);
    await page.getByRole('button', { name: 'Pause' }).click();
    await shoot('training');
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 90_000 });
    const cell = page.getByRole('region', { name: 'Confusion matrix' }).getByRole('button').nth(1);
    await cell.click();
    await shoot('evaluation');
    await classify(page, path.join(samples, 'tools/wrench.jpg'));
    await classify(page, path.join(samples, 'monuments/zimniPalace.jpg'));
    await shoot('classifying');
    await close();
  }
} finally {
  await browser.close();
  await server.close();
  photos.remove();
}
console.log(folder);
