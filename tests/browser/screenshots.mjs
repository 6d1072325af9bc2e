// Takes the pictures that web/README.md shows:  node tests/browser/screenshots.mjs [folder] [state ...]
// Every main state of the page, at a phone's, a laptop's and a projector's width, light and dark.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serve } from '../../scripts/serve.mjs';
import { classify, engineReady, launch, openPage, photoFolder, samples } from './page.mjs';

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
        await page.evaluate(() => scrollTo(0, 0));
        await page.waitForTimeout(400);
        await page.screenshot({ path: path.join(folder, `${state}-${width}-${colorScheme}.png`), fullPage: true });
      }
      await page.setViewportSize({ width: 1920, height: 1080 });
    };
    await shoot('first');
    await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await page.getByText(/^\d+ images in 4 classes$/).waitFor({ timeout: 60_000 });
    await page.getByText(/^About .* on this device/).waitFor({ timeout: 30_000 });
    // It floats over the end of the screen, which in a picture of the whole page is in the middle.
    await page.getByRole('button', { name: 'Dismiss', exact: true }).click();
    await shoot('data');
    const advanced = page.getByText('Advanced', { exact: true });
    await advanced.click();
    for (const name of ['Turn', 'Mirror', 'Light and colour']) await page.getByRole('checkbox', { name }).check();
    await page.getByRole('list', { name: /, augmented$/ }).waitFor();
    await shoot('advanced');
    await page.getByRole('button', { name: 'Back to the defaults' }).click();
    // The pretrained model is trained before one can look.
    await page.getByRole('radio', { name: 'MultiClassCNN' }).check();
    await page.getByLabel('Epochs', { exact: true }).fill('60');
    await advanced.click();
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByText(/images\/s · .* left/).waitFor({ timeout: 30_000 });
    await page.waitForTimeout(4000);
    await page.getByRole('button', { name: 'Pause' }).click();
    await shoot('training');
    page.on('dialog', (dialog) => dialog.accept());
    await page.reload();
    await engineReady(page);
    const offer = page.getByRole('button', { name: /^Go on with the training/ });
    await offer.waitFor();
    await page.waitForTimeout(1000);
    await shoot('interrupted');
    await advanced.click();
    await page.getByRole('button', { name: 'Back to the defaults' }).click();
    await advanced.click();
    await page.getByRole('button', { name: /^Train/ }).click();
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 180_000 });
    await page.getByRole('button', { name: 'Train again' }).waitFor();
    await shoot('evaluation');
    const matrix = page.getByRole('region', { name: 'Confusion matrix' });
    // A mistake, if it made one.
    const mistakes = matrix.getByRole('button', { name: /^\d+ images? of (\w+) called (?!\1$)/ });
    await ((await mistakes.count()) > 0 ? mistakes : matrix.getByRole('button')).first().click();
    await shoot('confusion');
    await matrix.getByRole('button', { expanded: true }).click();
    await classify(page, path.join(samples, 'monuments/zimniPalace.jpg'));
    await classify(page, path.join(samples, 'tools/wrench.jpg'));
    await page.getByRole('checkbox', { name: 'Show what it looked at' }).check();
    await page.getByRole('img', { name: /^What in wrench\.jpg speaks for / }).waitFor();
    await shoot('classifying');
    await page.getByText('Take it away').click();
    await shoot('take-away');
    await page.getByRole('button', { name: 'See it in PyTorch' }).click();
    await page.getByRole('dialog', { name: 'In PyTorch' }).waitFor();
    await shoot('pytorch');
    await close();
  }
} finally {
  await browser.close();
  await server.close();
  photos.remove();
}
console.log(folder);
