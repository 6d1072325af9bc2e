// What the browser tests share: the served page in a browser, photos on disk, and a watch over what a page must never do.
// Every page is watched: a console error or a request to another origin fails the test that opened it.
// PINHOLE_BROWSER chooses the browser, as the system installs it: chromium (unless told otherwise), firefox, or webkit, which knows
// core.test.mjs only.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium, firefox } from 'playwright-core';
import { giveFolder, isFolder } from './folder.mjs';
import { launchWebKit } from './webkit.mjs';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const samples = path.join(root, 'web/public/samples/photos');

export const browserName = process.env.PINHOLE_BROWSER ?? 'chromium';
assert.ok(
  ['chromium', 'firefox', 'webkit'].includes(browserName),
  `PINHOLE_BROWSER is ${browserName}; it may be chromium, firefox or webkit`,
);

/** A test option: runs it in Chromium alone; the summary counts it as skipped elsewhere and names the reason. */
export const onlyInChromium = (reason) => ({
  skip: browserName === 'chromium' ? false : `in Chromium only: ${reason}`,
});

export const executablePath = process.env.PINHOLE_CHROMIUM ?? '/usr/bin/chromium';
export const browserArguments = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
];

/**
 * `camera`: with a camera that shows a moving test picture, and nobody is asked for leave to use it. `reducedMotion`: as the system
 * asks for it, where a page of its own cannot be told (Firefox).
 */
export async function launch({ camera = false, reducedMotion = false } = {}) {
  if (browserName === 'firefox') return launchFirefox({ camera, reducedMotion });
  if (browserName === 'webkit') return launchWebKit();
  assert.ok(existsSync(executablePath), `no Chromium at ${executablePath}; PINHOLE_CHROMIUM says where it is`);
  const cameraArguments = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
  return chromium.launch({ executablePath, args: [...browserArguments, ...(camera ? cameraArguments : [])] });
}

/** Firefox as it is installed, over WebDriver BiDi. */
async function launchFirefox({ camera, reducedMotion }) {
  const executable = process.env.PINHOLE_FIREFOX ?? '/usr/bin/firefox-esr';
  assert.ok(existsSync(executable), `no Firefox at ${executable}; PINHOLE_FIREFOX says where it is`);
  const browser = await firefox.launch({
    channel: 'moz-firefox',
    executablePath: executable,
    firefoxUserPrefs: {
      ...(camera && { 'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true }),
      ...(reducedMotion && { 'ui.prefersReducedMotion': 1 }),
    },
  });
  // Playwright sends this for every page, and the present ESR does not know it yet. Dark and light are tested in Chromium.
  const session = Object.getPrototypeOf(browser._connection.toImpl(browser)._browserSession);
  const { dispatchMessage, send } = session;
  session.send = function (method, parameters) {
    if (method === 'emulation.setMediaFeaturesOverride') return Promise.resolve({});
    return send.call(this, method, parameters);
  };
  // Nor does it number the downloads, by which Playwright knows them.
  session.dispatchMessage = function (message) {
    if (/^browsingContext\.download(WillBegin|End)$/.test(message.method))
      message.params.download ??= message.params.url;
    return dispatchMessage.call(this, message);
  };
  const page = await (await browser.newContext()).newPage();
  const pages = Object.getPrototypeOf(page);
  const locator = Object.getPrototypeOf(page.locator('body'));
  await page.context().close();
  const { waitForEvent } = pages;
  pages.waitForEvent = async function (event, options) {
    const given = await waitForEvent.call(this, event, options);
    // All are in one folder, where the second of a name gets a number.
    if (event === 'download') {
      const name = given.suggestedFilename().replace(/\(\d+\)(?=\.\w+$)/, '');
      given.suggestedFilename = () => name;
    }
    return given;
  };
  const { fill, setInputFiles } = locator;
  locator.fill = async function (text, options) {
    const type = await this.getAttribute('type');
    // What is in a number field stays there, before what is filled in.
    if (type === 'number') await fill.call(this, '', options);
    if (type !== 'text') return fill.call(this, text, options);
    // Text that is put into a field is no change to this Firefox; what is typed is.
    await this.selectText(options);
    await this.press('Delete', options);
    return this.pressSequentially(text, options);
  };
  // Elements found by role in the page's own world, all at once, end the process of this Firefox; one by one they do not.
  locator.evaluateAll = async function (body, argument) {
    const elements = await Promise.all((await this.all()).map((one) => one.elementHandle()));
    return this.page().evaluate(new Function('given', `return (${body})(given[0], given[1])`), [elements, argument]);
  };
  locator.allInnerTexts = function () {
    return this.evaluateAll((all) => all.map(({ innerText }) => innerText));
  };
  locator.setInputFiles = function (files, options) {
    return isFolder(files) ? giveFolder(this, files) : setInputFiles.call(this, files, options);
  };
  return browser;
}

/** Opens the page in a context of its own and waits for the engine. `check()` fails if the page did what it must not. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console error: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  // The context's requests include those of workers and of the service worker.
  context.on('request', (request) => {
    const address = request.url();
    if (/^https?:/.test(address) && new URL(address).origin !== new URL(url).origin)
      faults.push(`request to ${address}`);
    if (request.method() !== 'GET') faults.push(`${request.method()} ${address}`);
  });
  await page.goto(url);
  await engineReady(page);
  const close = async () => {
    await context.close();
    assert.deepEqual(faults, []);
  };
  return { context, page, close };
}

/** Resolves to what the engine says it runs on. */
export async function engineReady(page) {
  const fact = page.getByText(/^Runs on \d+ threads?, .*SIMD$/);
  await fact.waitFor({ timeout: 60_000 });
  return fact.innerText();
}

/** A folder of class folders with the first photos of the sample set; removed by the returned function. */
export function photoFolder(classes, photosOfEach) {
  const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-photos-'));
  for (const name of classes) {
    mkdirSync(path.join(folder, name));
    for (const file of readdirSync(path.join(samples, name)).sort().slice(0, photosOfEach)) {
      cpSync(path.join(samples, name, file), path.join(folder, name, file));
    }
  }
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** Drops files or folders on an element, as the operating system does. */
export async function dropOn(page, target, paths) {
  if (browserName !== 'chromium') return dropFiles(target, paths);
  await target.scrollIntoViewIfNeeded();
  const box = await target.boundingBox();
  assert.ok(box, 'the drop target is not on the screen');
  const session = await page.context().newCDPSession(page);
  const at = { x: box.x + box.width / 2, y: box.y + Math.min(box.height / 2, 40) };
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'])
    await session.send('Input.dispatchDragEvent', { type, ...at, data });
  await session.detach();
}

/** Where only Chromium's own protocol can act the operating system: the event with the files in it, which cannot have folders. */
async function dropFiles(target, paths) {
  const files = paths.map((file) => ({ name: path.basename(file), base64: readFileSync(file).toString('base64') }));
  await target.evaluate((element, given) => {
    const dataTransfer = new DataTransfer();
    for (const { name, base64 } of given)
      dataTransfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
    for (const type of ['dragenter', 'dragover', 'drop'])
      element.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  }, files);
}

/** Pastes a picture where the locator is, as if it had been copied under the given name. */
export async function pasteOn(target, file, name) {
  await target.evaluate(
    (element, given) => {
      const clipboardData = new DataTransfer();
      const bytes = Uint8Array.from(atob(given.base64), (letter) => letter.charCodeAt(0));
      clipboardData.items.add(new File([bytes], given.name, { type: 'image/jpeg' }));
      const event = new ClipboardEvent('paste', { bubbles: true, cancelable: true });
      // Firefox makes no such event with files in it.
      Object.defineProperty(event, 'clipboardData', { value: clipboardData });
      element.dispatchEvent(event);
    },
    { base64: readFileSync(file).toString('base64'), name },
  );
}

/** The probabilities on the screen: { label: probability }. */
export async function shownProbabilities(page) {
  const meters = page.getByRole('list', { name: 'Probabilities' }).getByRole('meter');
  await meters.first().waitFor();
  const pairs = await meters.evaluateAll((all) =>
    all.map((meter) => [meter.getAttribute('aria-label'), Number(meter.getAttribute('aria-valuenow'))]),
  );
  return Object.fromEntries(pairs);
}

/** Classifies a file and returns its probabilities. */
export async function classify(page, file) {
  await page.getByLabel('Choose a picture to classify').setInputFiles(file);
  await page
    .getByRole('region', { name: 'Result' })
    .getByRole('img', { name: path.basename(file), exact: true })
    .waitFor();
  return shownProbabilities(page);
}

/** Runs one of the native programs and returns what it printed. */
export async function native(program, ...args) {
  const { stdout } = await promisify(execFile)(path.join(root, 'build/native/native', program), args, {
    maxBuffer: 1 << 26,
  });
  return stdout;
}

export function assertClose(actual, expected, tolerance, where) {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), where);
  for (const [label, probability] of Object.entries(expected)) {
    assert.ok(
      Math.abs(actual[label] - probability) <= tolerance,
      `${where}, ${label}: ${actual[label]} in the page, ${probability} expected`,
    );
  }
}

/** A static host that knows types and nothing else. */
export async function servePlainly() {
  const types = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.mjs': 'text/javascript',
    '.css': 'text/css',
    '.svg': 'image/svg+xml',
    '.png': 'image/png',
    '.wasm': 'application/wasm',
    '.json': 'application/json',
    '.webmanifest': 'application/manifest+json',
    '.jpg': 'image/jpeg',
  };
  const host = createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, 'http://localhost').pathname).replace(/\/$/, '/index.html');
    try {
      const body = readFileSync(path.join(root, 'web/dist', name));
      response.writeHead(200, { 'Content-Type': types[path.extname(name)] ?? 'text/plain' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => host.listen(0, 'localhost', resolve));
  return { url: `http://localhost:${host.address().port}/`, close: () => host.close() };
}
