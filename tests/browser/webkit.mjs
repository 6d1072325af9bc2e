// WebKit as Debian has it, driven by its own WebDriver. As much of Playwright's page as the core flow needs, under the same names, so
// that one test file serves every browser. A context is a browser of its own: its driver runs one at a time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { giveFolder, isFolder } from './folder.mjs';

export const programs = { driver: '/usr/bin/WebKitWebDriver', screen: '/usr/bin/Xvfb' };
const defaultTimeout = 30_000;
const elementKey = 'element-6066-11e4-a52e-4f735466cecf';
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Resolves to what `attempt` gives once it is not undefined; `what` is said when the time is over. */
async function until(attempt, what, timeout = defaultTimeout) {
  const end = Date.now() + timeout;
  for (let last; ; await pause(50)) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      // What is drawn anew between two commands is looked for again.
      if (!['stale element reference', 'element not interactable', 'element click intercepted'].includes(error.code))
        throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${timeout} ms${last ? ` (${last.message})` : ''}`);
  }
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** A screen that nobody sees; gives its name. */
async function startScreen() {
  const screen = spawn(programs.screen, ['-displayfd', '1', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const number = await new Promise((resolve, reject) => {
    screen.stdout.once('data', (text) => resolve(String(text).trim()));
    screen.once('exit', () => reject(new Error('Xvfb did not start')));
  });
  return { name: `:${number}`, stop: () => screen.kill() };
}

/** The page's side of the finding, as a script. */
async function locateScript() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [path.join(import.meta.dirname, 'locate.mjs')],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'pinholeLocate',
    logLevel: 'error',
  });
  return `${outputFiles[0].text}\nglobalThis.pinholeLocate = pinholeLocate;`;
}

export async function launchWebKit() {
  for (const program of Object.values(programs)) assert.ok(existsSync(program), `no ${program}`);
  const [screen, locate] = await Promise.all([startScreen(), locateScript()]);
  const contexts = new Set();
  return {
    async newContext() {
      const context = await WebKitContext.start(screen.name, locate);
      contexts.add(context);
      return context;
    },
    async close() {
      for (const context of contexts) await context.close();
      screen.stop();
    },
  };
}

class WebKitContext {
  #driver;
  #home;
  #page;
  #isClosed = false;

  static async start(display, locate) {
    const context = new WebKitContext();
    const home = mkdtempSync(path.join(tmpdir(), 'pinhole-webkit-'));
    const downloads = path.join(home, 'Downloads');
    mkdirSync(path.join(home, '.config'));
    mkdirSync(downloads);
    writeFileSync(path.join(home, '.config/user-dirs.dirs'), `XDG_DOWNLOAD_DIR="${downloads}"\n`);
    const port = await freePort();
    context.#home = home;
    context.#driver = spawn(programs.driver, [`--port=${port}`], {
      stdio: 'ignore',
      env: {
        ...process.env,
        HOME: home,
        XDG_CONFIG_HOME: path.join(home, '.config'),
        DISPLAY: display,
        // A locale without a language is one that WebKit cannot write numbers in.
        LANG: 'en_GB.UTF-8',
        LC_ALL: 'en_GB.UTF-8',
        GDK_BACKEND: 'x11',
        WEBKIT_DISABLE_COMPOSITING_MODE: '1',
        WEBKIT_DISABLE_DMABUF_RENDERER: '1',
        // Root in a container may not make the namespaces that its sandbox wants.
        WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1',
      },
    });
    const send = async (method, route, body) => {
      const response = await fetch(`http://127.0.0.1:${port}${route}`, { method, body: body && JSON.stringify(body) });
      const { value } = await response.json();
      if (response.ok) return value;
      throw Object.assign(new Error(`${value.error}: ${value.message}`), { code: value.error });
    };
    await until(() => send('GET', '/status').catch(() => undefined), 'the driver starts');
    const { sessionId } = await send('POST', '/session', { capabilities: {} });
    const command = (method, route, body) => send(method, `/session/${sessionId}${route}`, body);
    await command('POST', '/timeouts', { script: 120_000, pageLoad: 60_000, implicit: 0 });
    context.#page = new Page(context, command, locate, downloads);
    return context;
  }

  /** Only one: another tab of the same browser is not needed. */
  newPage() {
    return this.#page;
  }

  on(event, handler) {
    this.#page.on(event, handler);
  }

  async close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#page.end();
    this.#driver.kill();
    rmSync(this.#home, { recursive: true, force: true });
  }
}

const textOf = (value, exact = false) =>
  value instanceof RegExp ? { source: value.source, flags: value.flags } : { string: value, exact };

/** What can be looked for, in a page and in what was found before. */
class Finder {
  constructor(page, steps) {
    this.page = page;
    this.steps = steps;
  }

  with(step) {
    return new Locator(this.page ?? this, [...this.steps, step]);
  }

  locator(selector) {
    return this.with({ by: 'css', selector });
  }

  getByRole(role, { name, exact } = {}) {
    return this.with({ by: 'role', role, ...(name === undefined ? {} : { name: textOf(name, exact) }) });
  }

  getByLabel(text, { exact } = {}) {
    return this.with({ by: 'label', text: textOf(text, exact) });
  }

  getByText(text, { exact } = {}) {
    return this.with({ by: 'text', text: textOf(text, exact) });
  }
}

class Locator extends Finder {
  filter({ hasText }) {
    return this.with({ by: 'hasText', text: textOf(hasText) });
  }

  nth(index) {
    return this.with({ by: 'nth', index });
  }

  first() {
    return this.nth(0);
  }

  last() {
    return this.nth(-1);
  }

  get what() {
    return JSON.stringify(this.steps);
  }

  elements() {
    return this.page.located('return pinholeLocate.find(arguments[0])', [this.steps]);
  }

  /** The one element that this means; more than one is a mistake of the test. */
  #one(timeout) {
    return until(
      async () => {
        const found = await this.elements();
        assert.ok(found.length < 2, `${found.length} elements are ${this.what}`);
        return found[0];
      },
      this.what,
      timeout,
    );
  }

  /** Does something with the element, again when it was drawn anew meanwhile. */
  #act(action, timeout) {
    return until(async () => (await action(await this.#one(timeout))) ?? null, this.what, timeout);
  }

  #command(method, route, body) {
    return this.#act((element) => this.page.command(method, `/element/${element[elementKey]}${route}`, body));
  }

  count() {
    return this.elements().then(({ length }) => length);
  }

  async isVisible() {
    return (
      (await this.page.located('return pinholeLocate.areVisible(pinholeLocate.find(arguments[0]))', [this.steps]))[0] ??
      false
    );
  }

  waitFor({ state = 'visible', timeout } = {}) {
    return until(
      async () => {
        const visible = await this.page.located('return pinholeLocate.areVisible(pinholeLocate.find(arguments[0]))', [
          this.steps,
        ]);
        assert.ok(visible.length < 2 || state === 'detached', `${visible.length} elements are ${this.what}`);
        const is = { visible: visible[0] === true, attached: visible.length === 1, detached: visible.length === 0 };
        return is[state] || undefined;
      },
      `${this.what} is ${state}`,
      timeout,
    );
  }

  async click() {
    await this.waitFor();
    await this.#act(async (element) => {
      await this.page.evaluate((one) => one.scrollIntoView({ block: 'center' }), element);
      await this.page.command('POST', `/element/${element[elementKey]}/click`, {});
    });
  }

  async fill(text) {
    await this.#command('POST', '/clear', {});
    await this.#command('POST', '/value', { text });
  }

  async check() {
    if (!(await this.evaluate((element) => element.checked))) await this.click();
  }

  selectOption(option) {
    return this.evaluate((element, wanted) => {
      const index = [...element.options].findIndex(({ value, label }) =>
        typeof wanted === 'string' ? value === wanted || label === wanted : label === wanted.label,
      );
      if (index < 0) throw new Error(`there is no option ${JSON.stringify(wanted)}`);
      element.selectedIndex = index;
      for (const type of ['input', 'change']) element.dispatchEvent(new Event(type, { bubbles: true }));
    }, option);
  }

  focus() {
    return this.evaluate((element) => element.focus());
  }

  setInputFiles(files) {
    if (isFolder(files)) return giveFolder(this, files);
    return this.#command('POST', '/value', { text: [files].flat().join('\n') });
  }

  getAttribute(name) {
    return this.evaluate((element, attribute) => element.getAttribute(attribute), name);
  }

  inputValue() {
    return this.evaluate(({ value }) => value);
  }

  innerText() {
    return this.evaluate((element) => element.innerText);
  }

  evaluate(body, argument) {
    return this.#act((element) => this.page.evaluateWith(body, element, argument));
  }

  async evaluateAll(body, argument) {
    // The driver knows elements only where they are arguments themselves.
    const whole = `(...given) => (${body})(given.slice(0, -1), given.at(-1))`;
    return this.page.evaluateWith(whole, ...(await this.elements()), argument);
  }
}

class Page extends Finder {
  #context;
  #locate;
  #downloads;
  #handlers = { pageerror: [], request: [] };

  constructor(context, command, locate, downloads) {
    super(undefined, []);
    this.#context = context;
    this.command = command;
    this.#locate = locate;
    this.#downloads = downloads;
  }

  context() {
    return this.#context;
  }

  on(event, handler) {
    this.#handlers[event]?.push(handler);
  }

  /** Runs a script that uses the finding; a page that was loaded anew gets it first. */
  async located(script, parameters) {
    const guarded = `return globalThis.pinholeLocate ? (function () { ${script} }).apply(null, arguments) : 'absent'`;
    const result = await this.command('POST', '/execute/sync', { script: guarded, args: parameters });
    if (result !== 'absent') return result;
    await this.command('POST', '/execute/sync', { script: this.#locate, args: [] });
    return this.located(script, parameters);
  }

  async evaluateWith(body, ...parameters) {
    const script = `const done = arguments[arguments.length - 1];
      (async () => (${body})(...Array.prototype.slice.call(arguments, 0, -1)))().then(
        (value) => done({ value }), (error) => done({ failure: String(error) }));`;
    const given = parameters.map((one) => one ?? null);
    const { value, failure } = await this.command('POST', '/execute/async', { script, args: given });
    if (failure !== undefined) throw new Error(failure);
    return value;
  }

  evaluate(body, argument) {
    return this.evaluateWith(body, argument);
  }

  waitForFunction(body, argument, { timeout } = {}) {
    return until(async () => (await this.evaluate(body, argument)) || undefined, String(body), timeout);
  }

  waitForTimeout(milliseconds) {
    return pause(milliseconds);
  }

  async goto(url) {
    await this.command('POST', '/url', { url });
    await this.located('return true', []);
  }

  async reload() {
    await this.#reportFaults();
    await this.command('POST', '/refresh', {});
    await this.located('return true', []);
  }

  /** `download` is the only event there is: a file that was not there before and is complete. */
  async waitForEvent(event, { timeout } = {}) {
    assert.equal(event, 'download');
    const present = new Set(readdirSync(this.#downloads));
    const sizes = new Map();
    const name = await until(
      () =>
        readdirSync(this.#downloads).find((one) => {
          const { size } = statSync(path.join(this.#downloads, one));
          const isDone = size > 0 && sizes.get(one) === size;
          sizes.set(one, size);
          return isDone && !present.has(one) && !one.endsWith('.wkdownload');
        }),
      'a file is saved',
      timeout,
    );
    const file = path.join(this.#downloads, name);
    return { suggestedFilename: () => name, path: async () => file, saveAs: async (to) => copyFileSync(file, to) };
  }

  /** What the page has complained about, and whom it has asked, since it was loaded. */
  async #reportFaults() {
    const { faults, requests } = await this.located(
      `return { faults: pinholeLocate.faults, requests: performance.getEntriesByType('resource').map(({ name }) => name) }`,
      [],
    );
    for (const handler of this.#handlers.pageerror) for (const message of faults) handler({ message });
    for (const handler of this.#handlers.request)
      for (const url of requests) handler({ url: () => url, method: () => 'GET' });
  }

  async end() {
    try {
      await this.#reportFaults();
    } finally {
      await this.command('DELETE', '', undefined);
    }
  }
}
