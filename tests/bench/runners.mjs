// A runner is an engine that was started and answers requests: a process that reads and writes JSON lines, or a page.
//   {ask(request): Promise<reply>, close(): Promise<void>};  an engine that fails makes ask() fail with its sentence
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

// An engine that hangs must not hold up the others. jax-js takes half a minute for one image of the 3-conv network.
const patience = 180;

function inTime(reply) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${patience} s`)), patience * 1000);
  });
  return Promise.race([reply, late]).finally(() => clearTimeout(timer));
}

export function processRunner(program, args, { env = {} } = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting = [];
  let errors = '';
  let ended;
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors = (errors + text).slice(-2000);
  });
  child.stdin.on('error', () => undefined); // a process that is gone is told of by 'close'
  const fail = (reason) => {
    ended ??= new Error(reason);
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  child.on('error', (error) => fail(`cannot run ${program}: ${error.message}`));
  const closed = new Promise((resolve) => {
    child.on('close', (status, signal) => {
      fail(`ended with ${signal ?? `status ${status}`}: ${errors.trim().split('\n').at(-1)}`);
      resolve();
    });
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    let reply;
    try {
      reply = JSON.parse(line);
    } catch {
      return; // a library that prints
    }
    const { resolve, reject } = waiting.shift() ?? {};
    if (reply?.error !== undefined) reject?.(new Error(reply.error));
    else resolve?.(reply);
  });
  return {
    pid: child.pid,
    async ask(request) {
      child.kill('SIGCONT');
      try {
        return await inTime(
          new Promise((resolve, reject) => {
            if (ended) {
              reject(ended);
              return;
            }
            waiting.push({ resolve, reject });
            child.stdin.write(`${JSON.stringify(request)}\n`);
          }),
        );
      } finally {
        child.kill('SIGSTOP'); // threads that spin while they wait would take a core from the next engine
      }
    },
    async close() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** A process and all that it has started. */
function processTree(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean);
    } catch {
      return []; // it has just ended
    }
  });
  return [Number(pid), ...children.flatMap(processTree)];
}

function signal(pids, name) {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // ended meanwhile
    }
  }
}

/** Every page has a browser of its own, which stands still while another engine is measured. */
export function pageRunner(launch, url, engine, config) {
  let stopped = [];
  const ready = (async () => {
    const { server, browser } = await launch();
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    const crash = new Promise((_, reject) => {
      page.on('crash', () => reject(new Error('the page has crashed')));
    });
    crash.catch(() => undefined);
    await page.goto(`${url}/bench/page.html`);
    await page.waitForFunction('globalThis.ask');
    await page.evaluate(([name, settings]) => globalThis.start(name, settings), [engine, config]);
    return { server, page, crash };
  })();
  ready.catch(() => undefined);
  return {
    async ask(request) {
      const { server, page, crash } = await inTime(ready);
      signal(stopped, 'SIGCONT');
      try {
        const reply = await inTime(Promise.race([crash, page.evaluate((asked) => globalThis.ask(asked), request)]));
        if (reply?.error !== undefined) throw new Error(reply.error);
        return reply;
      } finally {
        stopped = processTree(server.process().pid);
        signal(stopped, 'SIGSTOP');
      }
    },
    /** Chromium's garbage, that of its workers too, is collected as when memory runs short. */
    async collect() {
      const { server, page } = await inTime(ready);
      signal(stopped, 'SIGCONT');
      const session = await page.context().newCDPSession(page);
      for (let i = 0; i < 2; ++i) {
        await session.send('Memory.simulatePressureNotification', { level: 'critical' });
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
      await session.detach();
      stopped = processTree(server.process().pid);
      signal(stopped, 'SIGSTOP');
    },
    async close() {
      const { server } = await ready.catch(() => ({}));
      signal(stopped, 'SIGCONT');
      await server?.kill();
    },
  };
}
