// The advanced settings of a training: they reach the engine, they show what they do, and the defaults are as they were.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { launch, openPage, photoFolder, root } from './page.mjs';

/** Of one test: a page that hangs fails by itself. */
const limit = { timeout: 120_000 };

let browser, server, photos, scratch;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4297 })]);
  photos = photoFolder(['fishes', 'monuments', 'tools'], 10);
  scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-settings-'));
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
  if (scratch) rmSync(scratch, { recursive: true });
});

async function open() {
  const opened = await openPage(browser, server.url);
  const { page } = opened;
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('30 images in 3 classes').waitFor();
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByRole('radio', { name: 'MultiClassCNN' }).check();
  return opened;
}

const field = (page, label) => page.getByLabel(label, { exact: true });

async function train(page) {
  await page.getByRole('button', { name: /^Train( again)?$/ }).click();
  await page.getByText(/^Trained in/).waitFor({ timeout: 90_000 });
  await page.getByRole('button', { name: 'Train again' }).waitFor();
}

async function download(page, button) {
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button, exact: true }).click(),
  ]);
  const saved = path.join(scratch, file.suggestedFilename());
  await file.saveAs(saved);
  return readFileSync(saved);
}

/** What the saved model says of the training it comes from. */
async function recordedRecipe(page) {
  const file = await download(page, 'Save the model');
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE())).toString());
  return JSON.parse(header.__metadata__.training).recipe;
}

test(
  'schedule, warm-up, smoothing, augmentation and patience reach the training, its record and the card',
  limit,
  async () => {
    const { page, close } = await open();
    await field(page, 'Epochs').fill('2');
    await train(page);
    const before = await recordedRecipe(page);
    assert.deepEqual(
      [before.schedule.type, before.schedule.warmup_epochs, before.label_smoothing, before.augment, before.patience],
      ['constant', 0, 0, [], 0],
    );

    await field(page, 'Schedule').selectOption('Cosine');
    await field(page, 'Warm-up').fill('0.5');
    await field(page, 'Label smoothing').fill('0.1');
    await field(page, 'Patience').fill('5');
    await page.getByRole('checkbox', { name: 'Mirror' }).check();
    await page.getByRole('checkbox', { name: 'Turn' }).check();
    await page.getByText(/^At most 2 passes over the images/).waitFor();
    await train(page);
    const recipe = await recordedRecipe(page);
    assert.deepEqual(
      [recipe.schedule.type, recipe.schedule.warmup_epochs, recipe.label_smoothing, recipe.patience],
      ['cosine', 0.5, 0.1, 5],
    );
    assert.deepEqual(
      recipe.augment.map(({ type }) => type),
      ['RandomAffine', 'RandomHorizontalFlip'],
    );
    await page.getByText('Take it away').click();
    const card = (await download(page, 'Save the model card')).toString();
    assert.match(card, /- Learning-rate schedule: cosine, 0\.5 epochs of warm-up\n/);
    assert.match(card, /- Label smoothing: 0\.1\n- Augmentation: RandomAffine, RandomHorizontalFlip\n/);

    // One-cycle has its own warm-up.
    await field(page, 'Schedule').selectOption('One-cycle');
    assert.equal(await field(page, 'Warm-up').count(), 0);
    await train(page);
    assert.equal((await recordedRecipe(page)).schedule.type, 'one_cycle');
    await close();
  },
);

test('a model that has a recipe is trained by it, and what is set by hand comes before it', limit, async () => {
  const { page, close } = await open();
  await page.getByRole('radio', { name: 'PinholeSmall' }).check();
  const file = path.join(root, 'models/pinhole_small.recipe.json');
  const { optimizer, schedule, label_smoothing: smoothing, augment } = JSON.parse(readFileSync(file, 'utf8'));
  await field(page, 'Epochs').fill('2');
  await field(page, 'Label smoothing').fill('0.2');
  await train(page);
  const recipe = await recordedRecipe(page);
  assert.deepEqual(
    [recipe.optimizer.name, recipe.optimizer.lr, recipe.optimizer.weight_decay, recipe.schedule.type],
    [optimizer.name, optimizer.lr, optimizer.weight_decay, schedule.type],
  );
  assert.deepEqual(new Set(recipe.augment.map(({ type }) => type)), new Set(augment.map(({ type }) => type)));
  assert.notEqual(smoothing, 0.2);
  assert.deepEqual([recipe.epochs, recipe.label_smoothing], [2, 0.2]);
  // SGD with Nesterov's momentum, which has no field.
  await page.getByRole('radio', { name: 'FashionSmall' }).check();
  await train(page);
  const second = await recordedRecipe(page);
  assert.deepEqual([second.optimizer.name, second.optimizer.nesterov, second.label_smoothing], ['sgd', true, 0.2]);
  await close();
});

test('the preview shows one photo as training would see it, anew when the choice changes', limit, async () => {
  const { page, close } = await open();
  const preview = page.getByRole('list', { name: /, augmented$/ });
  assert.equal(await preview.count(), 0);
  await page.getByRole('checkbox', { name: 'Mirror' }).check();
  await preview.waitFor();
  const looks = () =>
    preview
      .getByRole('img')
      .evaluateAll((all) => all.map((canvas) => canvas.toDataURL()))
      .then((all) => all.map((url) => url.slice(-4000)));
  const different = async (count) => {
    const until = Date.now() + 10_000;
    let seen = [];
    do seen = await looks();
    while (new Set(seen).size !== count && Date.now() < until);
    assert.equal(seen.length, 6);
    assert.equal(new Set(seen).size, count);
    return seen;
  };
  const mirrored = await different(2);
  await page.getByRole('checkbox', { name: 'Shift and zoom' }).check();
  await different(6);
  await page.getByRole('checkbox', { name: 'Shift and zoom' }).uncheck();
  assert.deepEqual(await different(2), mirrored);
  const name = await preview.getAttribute('aria-label');
  await page.getByRole('button', { name: 'Show another picture' }).click();
  await page.waitForFunction((old) => !document.querySelector(`[aria-label="${old}"]`), name);
  assert.notDeepEqual(await different(2), mirrored);
  await page.getByRole('checkbox', { name: 'Mirror' }).uncheck();
  await preview.waitFor({ state: 'detached' });
  await close();
});

test('with patience a training ends when nothing gets better, and says after which epoch', limit, async () => {
  const { page, close } = await open();
  await field(page, 'Epochs').fill('300');
  await field(page, 'Patience').fill('2');
  await train(page);
  const outcome = await page.getByText(/^Trained in/).innerText();
  const [, last, best] = /Ended early, after epoch (\d+) of 300\. The model has the weights of epoch (\d+)/.exec(
    outcome,
  );
  assert.equal(Number(last), Number(best) + 2);
  await close();
});

test('a value that cannot be is refused beside its field', limit, async () => {
  const { page, close } = await open();
  for (const [label, value, sentence] of [
    ['Label smoothing', '1', 'Expected a number from 0, below 1.'],
    ['Patience', '1.5', 'Expected a whole number from 0 to 10,000.'],
    ['Warm-up', '-1', 'Expected a number from 0 to 1,000.'],
  ]) {
    await field(page, label).fill(value);
    await page.getByText(sentence, { exact: true }).waitFor();
    assert.ok(await page.getByRole('button', { name: 'Train', exact: true }).isDisabled(), label);
    await field(page, label).fill('0');
    await page.getByText(sentence, { exact: true }).waitFor({ state: 'detached' });
  }
  assert.ok(await page.getByRole('button', { name: 'Train', exact: true }).isEnabled());
  await close();
});
