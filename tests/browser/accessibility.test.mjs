// The page for everyone: axe-core finds nothing in any main state, light or dark, small or large; the keyboard alone suffices; what
// happens is said.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { classify, launch, onlyInChromium, openPage, photoFolder, root, samples } from './page.mjs';

/** Of one test: a page that hangs fails by itself. */
const limit = { timeout: 180_000 };
const inChromium = { ...limit, ...onlyInChromium('no other driver chooses dark') };

const axeSource = readFileSync(path.join(root, 'node_modules/axe-core/axe.min.js'), 'utf8');

let browser, server, photos;

before(async () => {
  [browser, server] = await Promise.all([launch({ reducedMotion: true }), serve({ port: 4277 })]);
  photos = photoFolder(['fishes', 'monuments', 'tools'], 10);
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
});

/** Fails with axe's own words for every violation. */
async function check(page, state) {
  await page.evaluate(axeSource);
  const violations = await page.evaluate(async () => {
    const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    // What has been scrolled half below the header that stays is not too small, whatever axe says of such a moment.
    const place = scrollY;
    scrollTo(0, 0);
    const results = await globalThis.axe.run(document, { runOnly: rules });
    scrollTo(0, place);
    return results.violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} (${failureSummary})`)}`,
    );
  });
  assert.deepEqual(violations, [], state);
}

/** The page must not be wider than the screen: nobody scrolls sideways to read. */
async function checkWidth(page, state) {
  const { content, screen } = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    screen: document.documentElement.clientWidth,
  }));
  assert.ok(content <= screen, `${state}: ${content} px of content on ${screen} px`);
}

for (const { colorScheme, width } of [
  { colorScheme: 'light', width: 360 },
  { colorScheme: 'dark', width: 1024 },
  { colorScheme: 'light', width: 1920 },
]) {
  const options = colorScheme === 'dark' ? inChromium : limit;
  test(`axe-core finds nothing at ${width} px, ${colorScheme}`, options, async () => {
    const { page, close } = await openPage(browser, server.url, {
      colorScheme,
      viewport: { width, height: 800 },
      reducedMotion: 'reduce',
    });
    const both = async (state) => {
      await check(page, state);
      await checkWidth(page, state);
    };
    await both('first run');
    await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await page.getByText('30 images in 3 classes').waitFor();
    await page.getByText(/^About .* on this device/).waitFor({ timeout: 30_000 });
    await page.getByText('Advanced', { exact: true }).click();
    await page.getByRole('radio', { name: 'MultiClassCNN' }).check();
    for (const name of ['Turn', 'Mirror']) await page.getByRole('checkbox', { name }).check();
    await page.getByRole('list', { name: /, augmented$/ }).waitFor();
    await both('data and advanced settings');
    for (const name of ['Turn', 'Mirror']) await page.getByRole('checkbox', { name }).uncheck();
    await page.getByLabel('Epochs').fill('400');
    await page.getByLabel('Validation split').fill('0.4');
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByText(/images\/s · .* left/).waitFor();
    await page.getByRole('img', { name: /^Loss\. Training / }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await both('training, paused');
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
    await page.getByRole('region', { name: 'Confusion matrix' }).getByRole('button').first().click();
    await page.getByText('Numbers of the reliability curve').click();
    await page.getByText('Numbers of every epoch').click();
    await both('evaluation');
    await page.getByText('Take it away').click();
    await classify(page, path.join(samples, 'tools/wrench.jpg'));
    await classify(page, path.join(samples, 'tools/wrench1.jpg'));
    await page.getByRole('checkbox', { name: 'Show what it looked at' }).check();
    await page.getByRole('img', { name: /^What in wrench1\.jpg speaks for / }).waitFor();
    await page.getByText('All 2 pictures as a table').click();
    await both('classifying');
    const place = await page.evaluate(() => scrollY);
    await page.getByRole('button', { name: 'See it in PyTorch' }).click();
    const source = page.getByRole('dialog', { name: 'In PyTorch' });
    await source.waitFor();
    await both('the PyTorch source');
    await page.keyboard.press('Escape');
    await source.waitFor({ state: 'detached' });
    // Not where the bar of the steps happens to lie over what is checked next.
    await page.evaluate((y) => scrollTo(0, y), place);
    await page
      .getByLabel('Open a model file')
      .setInputFiles({ name: 'no.safetensors', mimeType: '', buffer: Buffer.from('x') });
    await page.getByRole('alert').filter({ hasText: 'no.safetensors' }).waitFor();
    await both('an error');
    const moving = await page.evaluate(() =>
      Array.from(document.querySelectorAll('*')).some((element) => {
        const { transitionDuration, animationName } = getComputedStyle(element);
        return Number.parseFloat(transitionDuration) > 0 || animationName !== 'none';
      }),
    );
    assert.ok(!moving, 'something moves though reduced motion was asked for');
    await close();
  });
}

/** Presses Tab until the focus is on what has this name. */
async function tabTo(page, name, key = 'Tab') {
  for (let i = 0; i < 300; ++i) {
    await page.keyboard.press(key);
    const focused = await page.evaluate(() => {
      const { activeElement: element } = document;
      const outline = getComputedStyle(element.closest('.button, .model') ?? element).outlineStyle;
      const own = getComputedStyle(element).outlineStyle;
      return {
        name: element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent,
        isSeen: outline !== 'none' || own !== 'none',
      };
    });
    if (!focused.name.trim().match(name)) continue;
    assert.ok(focused.isSeen, `the focus on ${focused.name} cannot be seen`);
    return;
  }
  assert.fail(`300 times ${key} do not lead to ${name}`);
}

test(
  'by keyboard alone: samples, training, a mistake mended, a picture classified, the model saved',
  limit,
  async () => {
    const { page, close } = await openPage(browser, server.url, { viewport: { width: 1280, height: 800 } });
    const said = [];
    await page.exposeFunction('heard', (sentence) => said.push(sentence));
    await page.evaluate(() => {
      const region = document.querySelector('[role="status"][aria-live="polite"]');
      new MutationObserver(() => globalThis.heard(region.textContent)).observe(region, {
        childList: true,
        characterData: true,
        subtree: true,
      });
    });

    await tabTo(page, /^Load the sample photos$/);
    await page.keyboard.press('Enter');
    await page.getByText('122 images in 4 classes').waitFor({ timeout: 60_000 });
    await tabTo(page, /^Train$/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 120_000 });
    await page.getByRole('button', { name: 'Train again', exact: true }).waitFor();

    await tabTo(page, /^\d+ images? of fishes called /);
    await page.keyboard.press('Enter');
    // The focus is on the images' heading: their controls come next.
    await tabTo(page, /^Class of .*\.jpg$/);
    await page.keyboard.press('ArrowDown');
    await page.getByText('The images have changed since this training.').waitFor();

    const chosen = page.waitForEvent('filechooser');
    await tabTo(page, /^Choose a picture to classify$/);
    await page.keyboard.press('Enter');
    await (await chosen).setFiles(path.join(samples, 'tools/wrench.jpg'));
    await page.getByRole('region', { name: 'Result' }).getByRole('img', { name: 'wrench.jpg', exact: true }).waitFor();

    const saved = page.waitForEvent('download');
    // It stands before the pictures; forwards the way would lead through the browser's own buttons.
    await tabTo(page, /^Save the model$/, 'Shift+Tab');
    await page.keyboard.press('Enter');
    await saved;
    await page.getByText(/^TransferCNN\.safetensors saved\.\s*$/).waitFor({ state: 'attached' });

    const all = said.join('\n');
    for (const sentence of [
      /122 images added\./,
      /Preparing the images\./,
      /Training on \d+ images\./,
      /Training has finished\. Validation accuracy/,
      /Moved .*\.jpg to monuments\./,
      /^wrench\.jpg: .*%/m,
      /TransferCNN\.safetensors saved\./,
    ])
      assert.match(all, sentence);
    await close();
  },
);
