// A training outlives its page: after a reload or a crash it goes on, and ends as if nothing had happened.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { engineReady, launch, onlyInChromium, openPage, photoFolder } from './page.mjs';

/** Of one test: a page that hangs fails by itself. */
const limit = { timeout: 240_000 };
const epochs = 24;
const goOn = new RegExp(`^Go on with the training that was interrupted \\(epoch \\d+ of ${epochs}\\)$`);
const offer = (page) => page.getByRole('button', { name: goOn });
const discard = (page) => page.getByRole('button', { name: 'Discard the training that was interrupted' });

let browser, server, photos, whole;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve({ port: 4296 })]);
  photos = photoFolder(['fishes', 'monuments', 'tools'], 20);
  // What an uninterrupted training gives.
  const { page, close } = await begun();
  await finished(page);
  whole = await numbers(page);
  await close();
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
});

/** A page that trains. */
async function begun({
  images = photos,
  found = '60 images in 3 classes',
  network = 'MultiClassCNN',
  ...options
} = {}) {
  const opened = await openPage(browser, server.url, options);
  const { page } = opened;
  // Leaving a training asks whether one means it.
  page.on('dialog', (dialog) => dialog.accept());
  await page.getByLabel('Choose a folder').setInputFiles(images.folder);
  await page.getByText(found).waitFor();
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByRole('radio', { name: network }).check();
  await page.getByLabel('Epochs', { exact: true }).fill(String(epochs));
  // What depends on where the training stands.
  await page.getByLabel('Schedule').selectOption('Cosine');
  await page.getByRole('checkbox', { name: 'Mirror' }).check();
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  return opened;
}

/** In the middle of the training, when some epochs of it are over. */
async function inTheMiddle(page) {
  // Not in the announcement for screen readers, which comes in trainings of more than four seconds.
  await page
    .locator('#train')
    .getByText(new RegExp(`^Epoch ([4-9]|\\d\\d) of ${epochs}`))
    .waitFor();
  assert.ok(await page.getByRole('button', { name: 'Pause' }).isVisible(), 'the training was over too soon');
}

async function finished(page) {
  await page.getByText(/^Trained in/).waitFor({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Train again' }).waitFor();
}

/** Every epoch's row of the table, but for its time. */
async function numbers(page) {
  const table = page.getByRole('region', { name: 'Numbers of every epoch' });
  if (!(await table.isVisible())) await page.getByText('Numbers of every epoch').click();
  await table.getByRole('row').nth(1).waitFor();
  return table
    .getByRole('row')
    .evaluateAll((all) =>
      all.slice(1).map((row) => Array.from(row.cells, ({ textContent }) => textContent).slice(0, 5)),
    );
}

/** The offer, checked against the curves that came back with it. */
async function comesBack(page) {
  await engineReady(page);
  await page.getByText('60 images in 3 classes').waitFor();
  const rows = await offered(page);
  assert.ok(rows.length >= 1 && rows.length < epochs, `${rows.length} epochs came back`);
  assert.deepEqual(rows, whole.slice(0, rows.length));
}

/** The epochs that came back, which the offer counts too. */
async function offered(page) {
  await offer(page).waitFor();
  const epoch = Number(/epoch (\d+) of/.exec(await offer(page).innerText())[1]);
  const rows = await numbers(page);
  assert.equal(epoch, rows.length + 1, `it offers epoch ${epoch}, and ${rows.length} came back`);
  return rows;
}

async function endsAsIfNothingHadHappened(page) {
  await offer(page).click();
  await finished(page);
  assert.deepEqual(await numbers(page), whole);
  assert.equal(await offer(page).count(), 0);
  await page.reload();
  await engineReady(page);
  await page.getByRole('region', { name: 'Model in use' }).waitFor();
  assert.deepEqual(await numbers(page), whole);
  assert.equal(await offer(page).count(), 0);
}

test(
  'a page that is reloaded in mid-training offers to go on, and the curves have every epoch once',
  limit,
  async () => {
    const { page, close } = await begun();
    await inTheMiddle(page);
    await page.reload();
    await comesBack(page);
    // A renamed class is the same class to the training, and the model has its new name.
    await page.getByRole('region', { name: 'Class tools' }).getByLabel('Class name').fill('hammers');
    await page.keyboard.press('Enter');
    await endsAsIfNothingHadHappened(page);
    assert.deepEqual(await page.getByRole('list', { name: 'Classes it knows' }).getByRole('listitem').allInnerTexts(), [
      'fishes',
      'monuments',
      'hammers',
    ]);
    await close();
  },
);

test('a training that goes on with other kernels says so, and one with the same ones does not', limit, async () => {
  const { page, context, close } = await begun({ serviceWorkers: 'block' });
  const said = page.getByText('Other kernels or another version of Pinhole computed a part of it');
  await inTheMiddle(page);
  await page.reload();
  await offer(page).click();
  await inTheMiddle(page);
  assert.equal(await said.count(), 0);
  // Without these headers the page has one thread, and the build for it another SIMD.
  await context.route(server.url, async (route) => {
    const response = await route.fetch();
    const isolating = /^cross-origin-/;
    const headers = Object.entries(response.headers()).filter(([name]) => !isolating.test(name));
    await route.fulfill({ response, headers: Object.fromEntries(headers) });
  });
  await page.reload();
  assert.match(await engineReady(page), /\b1 thread,/);
  await offer(page).click();
  await finished(page);
  await said.waitFor();
  assert.equal((await numbers(page)).length, epochs);
  await page.reload();
  await engineReady(page);
  await said.waitFor();
  await close();
});

test('what the page calls trained is kept: a page that is reloaded that very moment has all of it', limit, async () => {
  const { page, close } = await begun();
  await page.evaluate(() => {
    new MutationObserver(() => {
      if (document.querySelector('#train').textContent.includes('Trained in')) location.reload();
    }).observe(document.querySelector('#train'), { childList: true, subtree: true, characterData: true });
  });
  await page.waitForEvent('load', { timeout: 120_000 });
  await engineReady(page);
  await page.getByRole('region', { name: 'Model in use' }).waitFor();
  assert.deepEqual(await numbers(page), whole);
  assert.equal(await offer(page).count(), 0);
  await page.getByText(/^Trained in/).waitFor();
  await close();
});

test('of a training whose page goes away in the middle of an epoch no whole epoch is lost', limit, async () => {
  // Epochs that take longer than writing what they leave, on a slow disk too: a network that computes much and has few parameters.
  const many = photoFolder(['fishes', 'monuments', 'renewable', 'tools'], 20);
  const { page, close } = await begun({ images: many, found: '80 images in 4 classes', network: 'PinholeSmall' });
  await page.evaluate(() => {
    let [epoch, begunAt] = [0, 0];
    const observer = new MutationObserver(() => {
      const shown = Number(/Epoch (\d+) of/.exec(document.querySelector('#train').textContent)?.[1] ?? 0);
      if (shown === epoch) return;
      const now = performance.now();
      const took = (now - begunAt) / (shown - epoch);
      [epoch, begunAt] = [shown, now];
      if (epoch < 10) return;
      observer.disconnect();
      setTimeout(() => {
        const inProgress = Number(/Epoch (\d+) of/.exec(document.querySelector('#train').textContent)[1]);
        sessionStorage.setItem('in progress', String(inProgress));
        location.reload();
      }, took / 2);
    });
    observer.observe(document.querySelector('#train'), { childList: true, subtree: true, characterData: true });
  });
  await page.waitForEvent('load', { timeout: 120_000 });
  await engineReady(page);
  const back = (await offered(page)).length;
  const inProgress = Number(await page.evaluate(() => sessionStorage.getItem('in progress')));
  assert.ok(back >= inProgress - 1, `in epoch ${inProgress} it went away, and ${back} came back`);
  await close();
  many.remove();
});

for (const record of ['training', 'training-start']) {
  test(`a stored ${record} that cannot be read costs that training, and nothing else`, limit, async () => {
    const { context, page } = await begun();
    await inTheMiddle(page);
    await page.reload();
    await comesBack(page);
    // Away from the page, which holds its files: what was written about the training is overwritten.
    await page.goto(`${server.url}icon.svg`);
    await page.evaluate(async (name) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('pinhole-project');
      const file = await folder.getFileHandle(name);
      for (let attempt = 0; ; ++attempt) {
        try {
          const stream = await file.createWritable({ keepExistingData: true });
          const bytes = await (await file.getFile()).arrayBuffer();
          // Records follow each other: a header that ends with the size, the length of a text, the text.
          for (let at = 0; at < bytes.byteLength; at += 24 + new DataView(bytes).getFloat64(at + 16, true))
            await stream.write({ type: 'write', position: at + 32, data: new Uint8Array(100).fill(255) });
          await stream.close();
          return;
        } catch (error) {
          if (attempt === 50) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    }, record);
    await page.goto(server.url);
    await engineReady(page);
    await page.getByText('60 images in 3 classes').waitFor();
    await page.getByRole('button', { name: 'Train', exact: true }).waitFor();
    assert.equal(await offer(page).count(), 0);
    assert.equal(await page.getByText('This project is not kept').count(), 0);
    // Not close(): the picture alone has no icon, which Chromium calls an error.
    await context.close();
  });
}

test(
  'a page that dies in mid-training has its training back in the next one',
  { ...limit, ...onlyInChromium('no other driver kills a page') },
  async () => {
    const { context, page, close } = await begun();
    await inTheMiddle(page);
    const session = await context.newCDPSession(page);
    const died = page.waitForEvent('crash');
    void session.send('Page.crash').catch(() => undefined);
    await died;
    await page.close();
    const next = await context.newPage();
    await next.goto(server.url);
    await comesBack(next);
    await endsAsIfNothingHadHappened(next);
    await close();
  },
);

test('a training whose images have changed cannot go on, says so, and can when that is undone', limit, async () => {
  const { page, close } = await begun();
  await inTheMiddle(page);
  await page.reload();
  await comesBack(page);
  await page.getByRole('button', { name: 'Delete tools' }).click();
  const misfit = page.getByText(
    /^The training that was interrupted \(epoch \d+ of \d+\) cannot go on: its images or classes/,
  );
  await misfit.waitFor();
  assert.equal(await offer(page).count(), 0);
  await page.getByRole('button', { name: 'Undo', exact: true }).click();
  await offer(page).waitFor();
  assert.equal(await misfit.count(), 0);

  await discard(page).click();
  await offer(page).waitFor({ state: 'detached' });
  assert.equal(await page.getByRole('img', { name: /^Loss\./ }).count(), 0);
  await page.waitForTimeout(800);
  await page.reload();
  await engineReady(page);
  await page.getByText('60 images in 3 classes').waitFor();
  await page.getByRole('button', { name: 'Train', exact: true }).waitFor();
  assert.equal(await discard(page).count(), 0);
  await close();
});

test('another training takes the place of an interrupted one', limit, async () => {
  const { page, close } = await begun();
  await inTheMiddle(page);
  await page.reload();
  await comesBack(page);
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByLabel('Epochs', { exact: true }).fill('2');
  await page.getByRole('button', { name: 'Train again' }).click();
  await finished(page);
  assert.equal((await numbers(page)).length, 2);
  assert.equal(await offer(page).count(), 0);
  await close();
});
