// Private and offline, with proof: the counter of what was sent, threads on a host without headers, one thread without a service worker.
import assert from 'node:assert/strict';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import {
  classify,
  engineReady,
  launch,
  onlyInChromium,
  openPage,
  photoFolder,
  samples,
  servePlainly,
} from './page.mjs';

const limit = { timeout: 120_000 };

let browser, server, plain, photos;
/** What the server was asked for, in order. */
const requests = [];

before(async () => {
  [browser, server, plain] = await Promise.all([
    launch(),
    serve({ port: 4303, onRequest: (url) => requests.push(url) }),
    servePlainly(),
  ]);
  photos = photoFolder(['fishes', 'tools'], 6);
});

after(async () => {
  await browser?.close();
  await server?.close();
  plain?.close();
  photos?.remove();
});

async function trainQuickly(page) {
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('12 images in 2 classes').waitFor();
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByRole('radio', { name: 'FashionCNN' }).check();
  await page.getByLabel('Epochs', { exact: true }).fill('2');
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
}

const counter = (page) => page.getByText(/^Your photos never leave this device: [\d,]+ bytes sent since it loaded$/);

test(
  'once loaded, nothing is asked of the network: the log is empty and the counter says 0, whatever is done',
  limit,
  async () => {
    // The server's own log; a request to anybody else fails the test in close().
    const { page, close } = await openPage(browser, server.url);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await counter(page).waitFor();
    assert.ok(requests.length > 0, 'the server has no log');
    requests.length = 0;
    await trainQuickly(page);
    await classify(page, path.join(samples, 'tools/plier1.jpg'));
    // That the browser asks whether there is a newer service worker is its own doing.
    assert.deepEqual(
      requests.filter((url) => url !== '/service-worker.js'),
      [],
    );
    assert.match(await counter(page).innerText(), /: 0 bytes sent since it loaded$/);
    await close();
  },
);

test('the counter is honest: it counts what a page sends, and what the policy refuses', limit, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(server.url);
  await engineReady(page);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await counter(page).waitFor();
  await page.evaluate(() => fetch('./secret', { method: 'POST', body: 'x'.repeat(5000) }).catch(() => undefined));
  await page.waitForFunction(() => /: 5,0\d\d bytes sent/.test(document.body.innerText));
  const refused = await page.evaluate(() =>
    fetch('https://example.com/').then(
      () => 'sent',
      () => 'refused',
    ),
  );
  assert.equal(refused, 'refused');
  await counter(page).click();
  await page.getByText('1 request left this device since the page was ready, 1 had to be refused.').waitFor();
  await context.close();
});

test(
  'on a host without headers the service worker brings threads; without a service worker it works on one and says so',
  limit,
  async () => {
    const withWorker = await openPage(browser, plain.url);
    await withWorker.page.waitForFunction(() => globalThis.crossOriginIsolated, undefined, { timeout: 30_000 });
    const cores = await withWorker.page.evaluate(() => navigator.hardwareConcurrency);
    const runs = await engineReady(withWorker.page);
    assert.ok(Number(/(\d+) threads?,/.exec(runs)?.[1]) === Math.min(cores, 16), runs);
    assert.equal(await withWorker.page.getByText('One thread only').count(), 0);
    await withWorker.close();

    const without = await openPage(browser, plain.url, { serviceWorkers: 'block' });
    assert.match(await engineReady(without.page), /\b1 thread,/);
    await without.page
      .getByText('One thread only: this address does not send the headers that threads need.')
      .waitFor();
    await trainQuickly(without.page);
    await classify(without.page, path.join(samples, 'tools/plier1.jpg'));
    await without.close();
  },
);

test(
  'it can be installed: the manifest has a name, a start and icons of the right size',
  { ...limit, ...onlyInChromium('no other browser is asked whether it would') },
  async () => {
    const { page, context, close } = await openPage(browser, server.url);
    const session = await context.newCDPSession(page);
    const { errors, url } = await session.send('Page.getAppManifest');
    assert.deepEqual(errors, []);
    assert.match(url, /manifest\.webmanifest$/);
    const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
    // A context of a test has no profile to install into.
    assert.deepEqual(
      installabilityErrors.filter(({ errorId }) => errorId !== 'in-incognito'),
      [],
    );
    await close();
  },
);
