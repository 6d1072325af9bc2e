// The page as a user meets it: how soon it can be used, and how long new photos take from the drop to a result.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { serve } from '../../scripts/serve.mjs';
import { browserArguments, dropOn, engineReady, executablePath, photoFolder } from '../browser/page.mjs';

const classes = ['fishes', 'monuments', 'renewable', 'tools'];
const photosOfEach = 25;

/**
 * In the page: starts training as soon as the photos are there. Gives the seconds by the page's own clock, from the drop until the
 * images are imported and until the result is on the screen.
 */
function trainWhenDropped(counted) {
  return new Promise((resolve) => {
    let dropped;
    let imported;
    const seconds = () => (performance.now() - dropped) / 1000;
    addEventListener('drop', () => (dropped = performance.now()), { capture: true, once: true });
    const observer = new MutationObserver(() => {
      if (dropped === undefined) return;
      if (imported === undefined) {
        const train = [...document.querySelectorAll('button')].find(
          ({ textContent }) => textContent.trim() === 'Train',
        );
        if (!train || train.disabled || !document.body.textContent.includes(counted)) return;
        imported = seconds();
        train.click();
      } else if (
        [...document.querySelectorAll('h3')].some(({ textContent }) => textContent === 'Validation accuracy')
      ) {
        observer.disconnect();
        resolve({ imported, result: seconds() });
      }
    });
    observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  });
}

/**
 * Seconds (median, lowest, highest of the rounds), every round in a new profile of the browser; not in a private window, which keeps
 * files in another process. `interactive`: from the navigation until the first button can be pressed; `engine`: until the engine is
 * ready; from the drop of a hundred photos, `imported`: until they are there, and `result`: until the pretrained model has learned
 * them and its validation is on the screen, when "Train" is pressed at once.
 */
export async function measurePage({ rounds }) {
  const photos = photoFolder(classes, photosOfEach);
  const server = await serve({ port: 4330 });
  const times = { interactive: [], engine: [], imported: [], result: [] };
  try {
    for (let round = 0; round < rounds; ++round) {
      const profile = mkdtempSync(path.join(tmpdir(), 'pinhole-profile-'));
      const context = await chromium.launchPersistentContext(profile, { executablePath, args: browserArguments });
      try {
        const page = await context.newPage();
        const sinceNavigation = () => page.evaluate(() => performance.now() / 1000);
        await page.goto(server.url, { waitUntil: 'commit' });
        await page.getByRole('button', { name: 'Load the sample photos' }).click({ trial: true });
        times.interactive.push(await sinceNavigation());
        await engineReady(page);
        times.engine.push(await sinceNavigation());
        const counted = `${classes.length * photosOfEach} images in ${classes.length} classes`;
        const trained = page.evaluate(trainWhenDropped, counted);
        await dropOn(page, page.getByRole('heading', { name: 'Drop a folder of photos here' }), [photos.folder]);
        const { imported, result } = await trained;
        times.imported.push(imported);
        times.result.push(result);
      } finally {
        await context.close();
        rmSync(profile, { recursive: true, force: true });
      }
    }
  } finally {
    await server.close();
    photos.remove();
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, summary(all)]));
}

function summary(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], lowest: sorted[0], highest: sorted.at(-1) };
}
