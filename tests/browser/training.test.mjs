// Training and its evaluation as a user has them, in Chromium.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { classify, launch, openPage, photoFolder, root, samples } from './page.mjs';
import { importSource } from './source.mjs';

/** Of one test: a page that hangs fails by itself. */
const limit = { timeout: 120_000 };

let browser, server, photos;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4274 })]);
  photos = photoFolder(['fishes', 'monuments', 'tools'], 12);
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
});

const region = (page, name) => page.getByRole('region', { name, exact: true });

async function open() {
  const opened = await openPage(browser, server.url);
  await opened.page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await opened.page.getByText('36 images in 3 classes').waitFor();
  await opened.page.getByText('Advanced', { exact: true }).click();
  await opened.page.getByRole('radio', { name: 'MultiClassCNN' }).check();
  return opened;
}

async function setAdvanced(page, values) {
  if (!(await page.getByLabel('Epochs').isVisible())) await page.getByText('Advanced', { exact: true }).click();
  for (const [label, value] of Object.entries(values)) {
    const field = page.getByLabel(label, { exact: true });
    if (typeof value === 'string') await field.selectOption(value);
    else await field.fill(String(value));
  }
}

const trainButton = (page) => page.getByRole('button', { name: /^Train( again)?$/ });

async function trained(page) {
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
  await trainButton(page).waitFor();
}

test('suggested settings: the fewer images the more passes, and none held out where a class has only two', async () => {
  const { suggestSettings } = await importSource('web/app/suggestions.ts');
  const epochs = [10, 50, 500, 5000, 50_000].map((count) => suggestSettings([count, count]).epochs);
  assert.deepEqual(
    epochs,
    [...epochs].sort((a, b) => b - a),
  );
  assert.ok(epochs[0] > epochs[4]);
  assert.equal(suggestSettings([2, 40]).validationSplit, 0);
  assert.equal(suggestSettings([3, 40]).validationSplit, 0.2);
});

test('suggested settings of a model with a recipe are the recipe, for as many images as it is made for', async () => {
  const { suggestSettings } = await importSource('web/app/suggestions.ts');
  const { trainSettings } = await importSource('web/app/recipe.ts');
  const recipeOf = (model) => JSON.parse(readFileSync(path.join(root, `models/${model}.recipe.json`), 'utf8'));
  for (const [model, images] of [
    ['fashion_small', 6000],
    ['pinhole_small', 10],
  ]) {
    const recipe = recipeOf(model);
    const asked = trainSettings(suggestSettings(Array(10).fill(images), model));
    assert.equal(asked.epochs, recipe.epochs);
    assert.equal(asked.batchSize, recipe.batch_size);
    assert.equal(asked.optimizer, recipe.optimizer.name);
    assert.equal(asked.lr, recipe.optimizer.lr);
    assert.equal(asked.weightDecay, recipe.optimizer.weight_decay);
    assert.equal(asked.nesterov ?? false, recipe.optimizer.nesterov ?? false);
    assert.deepEqual(asked.schedule, recipe.schedule);
    assert.equal(asked.labelSmoothing ?? 0, recipe.label_smoothing ?? 0);
    assert.deepEqual(new Set(asked.augment.map(({ type }) => type)), new Set(recipe.augment.map(({ type }) => type)));
  }
  const few = suggestSettings([10, 10], 'fashion_small');
  assert.ok(few.epochs > recipeOf('fashion_small').epochs && few.batchSize < recipeOf('fashion_small').batch_size);
});

test(
  'before the start it says how long it will take here and how much memory, and that follows the settings',
  limit,
  async () => {
    const { page, close } = await open();
    const train = region(page, 'Train');
    await train.getByText(/^30 passes over the images in batches of 8; about 7 images are held out/).waitFor();
    const line = train.getByText(/^About \d+ s on this device, with \d+ MB of memory: it fits\.$/);
    await line.waitFor({ timeout: 30_000 });
    const memory = Number(/with (\d+) MB/.exec(await line.innerText())[1]);
    assert.ok(memory >= 10 && memory < 300, `${memory} MB`);
    await setAdvanced(page, { Epochs: 10_000 });
    await train.getByText(/^About .*(min|h) .* on this device/).waitFor();
    await close();
  },
);

test('a training is paused, goes on, is stopped, and the model keeps its best epoch', limit, async () => {
  const { page, close } = await open();
  await setAdvanced(page, { Epochs: 3000 });
  await trainButton(page).click();
  await page.getByText(/images\/s · .* left/).waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  const bar = page.getByRole('progressbar', { name: 'Training' });
  await page.getByText(/· paused ·/).waitFor();
  await page.waitForTimeout(300);
  const epochs = () => region(page, 'Train').locator('.panel__summary').innerText();
  const atPause = [await epochs(), await bar.getAttribute('aria-valuenow')];
  await page.waitForTimeout(600);
  assert.deepEqual([await epochs(), await bar.getAttribute('aria-valuenow')], atPause);
  await page.getByRole('status').getByText('Training is paused.').waitFor();
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.waitForFunction(
    (before) => document.querySelector('#train .panel__summary')?.textContent !== before,
    atPause[0],
  );
  await page.getByRole('button', { name: 'Stop' }).click();
  await trained(page);

  // The epoch that is named is the best of the table, and the evaluation below is of its weights.
  const outcome = await page
    .getByText(/^Stopped after \d+ whole epochs?\. The model has the weights of epoch \d+/)
    .innerText();
  const best = Number(/of epoch (\d+)/.exec(outcome)[1]);
  await page.getByText('Numbers of every epoch').click();
  const rows = await region(page, 'Numbers of every epoch')
    .getByRole('row')
    .evaluateAll((all) => all.slice(1).map((row) => Array.from(row.cells, ({ textContent }) => textContent)));
  const accuracies = rows.map(([, , , , accuracy]) => Number.parseFloat(accuracy));
  assert.equal(accuracies[best - 1], Math.max(...accuracies));
  const shown = await region(page, 'Validation accuracy').locator('strong').first().innerText();
  assert.equal(Number.parseFloat(shown), accuracies[best - 1]);
  await close();
});

test(
  'the nearest class mean answers before the first step, and pictures can be tried while the head learns',
  limit,
  async () => {
    const { page, close } = await open();
    await page.getByRole('radio', { name: 'TransferCNN' }).check();
    await setAdvanced(page, { Epochs: 10_000 });
    await trainButton(page).click();
    const line = page.getByText(
      /^First answer after \d+\.\d s, by the nearest class mean: \d+\.\d % of what is held out$/,
    );
    await line.waitFor({ timeout: 60_000 });
    assert.ok(Number(/: ([\d.]+) %/.exec(await line.innerText())[1]) >= 60, await line.innerText()); // of 7; chance is a third
    await page.getByText('The model is still in training.', { exact: false }).waitFor();
    const probabilities = await classify(
      page,
      path.join(samples, 'tools', readdirSync(path.join(samples, 'tools'))[20]),
    );
    assert.ok(await page.getByRole('button', { name: 'Stop' }).isVisible(), 'the training was over too soon');
    assert.deepEqual(Object.keys(probabilities), ['fishes', 'monuments', 'tools']);
    assert.ok(probabilities.tools > 0.5, JSON.stringify(probabilities));
    await page.getByRole('button', { name: 'Stop' }).click();
    await trained(page);
    assert.ok(await line.isVisible());
    await close();
  },
);

test('an exploding loss ends the training with the reason and a way on that works', limit, async () => {
  const { page, close } = await open();
  await setAdvanced(page, { Epochs: 30, 'Learning rate': 10, Optimizer: 'sgd' });
  await trainButton(page).click();
  const notice = page.getByRole('alert').filter({ hasText: 'The loss exploded in epoch' });
  await notice.waitFor({ timeout: 60_000 });
  assert.match(await notice.innerText(), /with a learning rate of 10 each step overshot/);
  await setAdvanced(page, { Optimizer: 'adam', 'Learning rate': 0.001, Epochs: 3 });
  await trainButton(page).click();
  await trained(page);
  assert.equal(await notice.count(), 0);
  await close();
});

test(
  'a confusion cell opens its images; one is relabelled, one removed, and the model is trained again',
  limit,
  async () => {
    const { page, close } = await open();
    await setAdvanced(page, { Epochs: 4, 'Validation split': 0.5 });
    await trainButton(page).click();
    await trained(page);

    const report = region(page, 'Validation accuracy');
    const text = await report.innerText();
    const [, right] = /(\d+) of 18 images it was not trained with/.exec(text);
    const { wilson } = await importSource('web/app/evaluation/interval.ts');
    const { low, high } = wilson(Number(right), 18);
    const two = (value) => value.toFixed(2);
    await report
      .getByText(`${two(right / 18)}, between ${two(low)} and ${two(high)} with 18 images`, { exact: true })
      .waitFor();

    // With all 18 in six cells at most, some cell has two or more.
    const cells = region(page, 'Confusion matrix').getByRole('button');
    const names = await cells.evaluateAll((all) => all.map((cell) => cell.getAttribute('aria-label')));
    const name = names.find((one) => Number.parseInt(one) >= 2);
    const [, count, is] = /^(\d+) images? of (\w+) called (\w+)$/.exec(name);
    const cell = page.getByRole('button', { name });
    await cell.click();
    assert.equal(await cell.getAttribute('aria-expanded'), 'true');
    const opened = page.getByRole('list', { name: new RegExp(`^${is}, (recognised|taken for )`) });
    const photosShown = opened.getByRole('listitem');
    assert.equal(await photosShown.count(), Number(count));

    const [first, second] = await photosShown.getByRole('img').evaluateAll((all) => all.map(({ alt }) => alt));
    const target = is === 'tools' ? 'fishes' : 'tools';
    const before = await page.getByRole('region', { name: `Class ${target}` }).innerText();
    assert.match(before, /12 images/);
    await opened.getByLabel(`Class of ${first}`).selectOption({ label: target });
    await page
      .getByRole('region', { name: `Class ${target}` })
      .getByText('13 images')
      .waitFor();
    await page
      .getByRole('region', { name: `Class ${is}` })
      .getByText('11 images')
      .waitFor();
    await opened.getByRole('button', { name: `Remove ${second} from the data` }).click();
    await page.getByText('35 images in 3 classes').waitFor();
    await page.getByText('The images have changed since this training.').waitFor();

    await page.getByRole('button', { name: 'Train with the changes' }).click();
    await page.getByText('The images have changed since this training.').waitFor({ state: 'detached' });
    await trained(page);
    const after = await region(page, 'Confusion matrix').getByRole('cell').allInnerTexts();
    const total = after.map(Number).reduce((sum, one) => sum + one, 0);
    assert.match(await report.innerText(), new RegExp(`of ${total} images it was not trained with`));
    await close();
  },
);

test('the most confident mistakes, the reliability curve and its table tell of the same images', limit, async () => {
  const { page, close } = await open();
  await setAdvanced(page, { Epochs: 2, 'Validation split': 0.5 });
  await trainButton(page).click();
  await trained(page);
  const [, right] = /(\d+) of 18 images/.exec(await region(page, 'Validation accuracy').innerText());
  const mistakes = page.getByRole('list', { name: 'Most confidently wrong' }).getByRole('listitem');
  assert.equal(await mistakes.count(), Math.min(8, 18 - Number(right)));
  const sure = (await mistakes.allInnerTexts()).map((text) => Number(/(\d+) % sure/.exec(text)[1]));
  assert.deepEqual(
    sure,
    [...sure].sort((a, b) => b - a),
  );
  await page
    .getByRole('img', { name: /^Reliability curve\. The model is .* differ by .* with a temperature of / })
    .waitFor();
  await page.getByText('Numbers of the reliability curve').click();
  const counts = await region(page, 'Numbers of the reliability curve')
    .getByRole('row')
    .evaluateAll((all) => all.slice(1).map((row) => Number(row.cells[1].textContent)));
  assert.equal(
    counts.reduce((sum, one) => sum + one, 0),
    18,
  );
  await close();
});

test('cross-validation tests every image once and leaves the model in use as it is', limit, async () => {
  const { page, close } = await open();
  await setAdvanced(page, { Epochs: 3 });
  await trainButton(page).click();
  await trained(page);
  const photo = path.join(samples, 'tools/plier1.jpg');
  const answer = await classify(page, photo);
  await page.getByLabel('Folds').selectOption('3');
  await page.getByRole('button', { name: 'Cross-validate' }).click();
  await page.getByRole('progressbar', { name: 'Cross-validation' }).waitFor();
  const result = page.getByText(/ of 36 images: 0\.\d\d, between 0\.\d\d and 0\.\d\d/);
  await result.waitFor({ timeout: 60_000 });
  await page.getByText(/^Folds: \d+ %, \d+ %, \d+ % \(deviation 0\.\d\d\)\.$/).waitFor();
  assert.deepEqual(await classify(page, photo), answer);
  await trainButton(page).waitFor();
  await close();
});

test('another number of threads gives the same model, and the model in use stays', limit, async () => {
  const { page, close } = await open();
  await setAdvanced(page, { Epochs: 2 });
  await trainButton(page).click();
  await trained(page);
  const photo = path.join(samples, 'tools/plier1.jpg');
  const answer = await classify(page, photo);
  const now = Number(await page.getByLabel('Threads').inputValue());
  const other = now === 1 ? 2 : 1;
  await page.getByLabel('Threads').selectOption(String(other));
  await page.getByText(`Runs on ${other} thread`).waitFor();
  assert.deepEqual(await classify(page, photo), answer);
  await trainButton(page).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ state: 'detached' });
  await trained(page);
  assert.deepEqual(await classify(page, photo), answer);
  await close();
});

test('a training that was stopped goes on and ends as if it had not been', { timeout: 240_000 }, async () => {
  const { page, close } = await open();
  const epochs = 40;
  const numbers = async () => {
    const table = region(page, 'Numbers of every epoch');
    if (!(await table.isVisible())) await page.getByText('Numbers of every epoch').click();
    return table
      .getByRole('row')
      .evaluateAll((all) =>
        all.slice(1).map((row) => Array.from(row.cells, ({ textContent }) => textContent).slice(0, 5)),
      );
  };
  await setAdvanced(page, { Epochs: epochs });
  await trainButton(page).click();
  await trained(page);
  const whole = await numbers();
  assert.equal(whole.length, epochs);
  assert.equal(await page.getByRole('button', { name: /^Go on after/ }).count(), 0);

  await trainButton(page).click();
  await page.getByRole('img', { name: /^Loss\. Training / }).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  const button = page.getByRole('button', { name: new RegExp(`^Go on after epoch \\d+ of ${epochs}$`) });
  await button.waitFor();
  const done = Number(/after epoch (\d+)/.exec(await button.innerText())[1]);
  assert.ok(done < epochs, 'it was stopped too late to show anything');
  assert.deepEqual(await numbers(), whole.slice(0, done));
  await button.click();
  await page.getByText(/^Trained in/).waitFor({ timeout: 60_000 });
  await trained(page);
  assert.deepEqual(await numbers(), whole);
  assert.equal(await button.count(), 0);
  await close();
});
