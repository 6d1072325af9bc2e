// The page as a user meets it: how soon it can be used, and how long new photos take from the drop to a result.
import { serve } from '../../scripts/serve.mjs';
import { dropOn, engineReady, launch, photoFolder } from '../browser/page.mjs';

const classes = ['fishes', 'monuments', 'renewable', 'tools'];
const photosOfEach = 25;

/**
 * Seconds (median, lowest, highest of the rounds), every round in a browser profile that has seen nothing yet. `interactive`: from
 * the navigation until the first button can be pressed; `engine`: until the engine is ready; `result`: from the drop of a hundred
 * photos until the pretrained model has learned them and its validation is on the screen.
 */
export async function measurePage({ rounds }) {
  const photos = photoFolder(classes, photosOfEach);
  const [browser, server] = await Promise.all([launch(), serve({ port: 4330 })]);
  const times = { interactive: [], engine: [], result: [] };
  try {
    for (let round = 0; round < rounds; ++round) {
      const context = await browser.newContext();
      const page = await context.newPage();
      const sinceNavigation = () => page.evaluate(() => performance.now() / 1000);
      await page.goto(server.url, { waitUntil: 'commit' });
      await page.getByRole('button', { name: 'Load the sample photos' }).click({ trial: true });
      times.interactive.push(await sinceNavigation());
      await engineReady(page);
      times.engine.push(await sinceNavigation());
      const dropped = performance.now();
      await dropOn(page, page.getByRole('heading', { name: 'Drop a folder of photos here' }), [photos.folder]);
      await page.getByText(`${classes.length * photosOfEach} images in ${classes.length} classes`).waitFor();
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 120_000 });
      times.result.push((performance.now() - dropped) / 1000);
      await context.close();
    }
  } finally {
    await browser.close();
    await server.close();
    photos.remove();
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, summary(all)]));
}

function summary(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], lowest: sorted[0], highest: sorted.at(-1) };
}
