// npm run bench: Pinhole beside its peers, in the same run on the same machine. One table on the terminal, everything in
// build/bench/results.json, charts in build/bench/results.html. Figures mean something only where nothing else runs.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from '../../scripts/build.mjs';
import { Failure, filesBelow, heading, main, mustRun, root, setUp } from '../../scripts/lib.mjs';
import {
  allNetworks,
  chromiumRunner,
  columns,
  nativeRunner,
  networkList,
  nodeRunner,
  rows,
  torchRunner,
} from './columns.mjs';
import { judgeGoals } from './goals.mjs';
import { measurePage } from './page_times.mjs';
import { fetchPeers, installed, modules } from './peers.mjs';
import { htmlReport, printGoals, printKernels, printOthers, printSpeed, printThreads } from './report.mjs';
import { serveFolders } from './server.mjs';

const help = `npm run bench -- [OPTIONS]

  --quick            fewer and shorter rounds, smaller batches for the peers that take seconds a step
  --rows A,B         rows whose name contains one of these: ${rows.map(({ name }) => name).join(' ')}
  --columns A,B      columns whose name contains one of these: ${columns.map(({ name }) => name).join(' ')}
  --parts A,B        of: speed threads kernels memory loading page (default: all)
  --rounds N         rounds (default 5, quick 3)
  --no-build         measures what is built, as it is
  --seconds S        seconds a column is measured in each round (default 0.5, quick 0.25)
`;

const parts = ['speed', 'threads', 'kernels', 'memory', 'loading', 'page'];
const photoFolder = path.join(root, 'web/public/samples/photos');
const outFolder = path.join(root, 'build/bench');

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        'no-build': { type: 'boolean', default: false },
        rows: { type: 'string' },
        columns: { type: 'string' },
        parts: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
      },
    }));
  } catch (error) {
    throw new Failure(`${error.message}\n\n${help}`);
  }
  const chosen = (list, names, what) => {
    if (names === undefined) return list;
    const wanted = names.split(',').filter(Boolean);
    const nobody = wanted.find((part) => !list.some(({ name }) => name.includes(part)));
    if (nobody !== undefined || wanted.length === 0)
      throw new Failure(`no ${what} is called '${nobody ?? names}'\n\n${help}`);
    return list.filter(({ name }) => wanted.some((part) => name.includes(part)));
  };
  const number = (name, text, fallback) => {
    const value = text === undefined ? fallback : Number(text);
    if (!(value > 0)) throw new Failure(`--${name} expected a number above 0, got '${text}'`);
    return value;
  };
  return {
    ...values,
    rows: chosen(rows, values.rows, 'row'),
    columns: chosen(columns, values.columns, 'column'),
    parts: chosen(
      parts.map((name) => ({ name })),
      values.parts,
      'part',
    ).map(({ name }) => name),
    rounds: Math.round(number('rounds', values.rounds, values.quick ? 3 : 5)),
    seconds: number('seconds', values.seconds, values.quick ? 0.25 : 0.5),
    slowSeconds: values.quick ? 4 : 12,
  };
}

const output = (program, ...args) => {
  try {
    return execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
};
const load = () => os.loadavg()[0];
const message = (error) =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0].replace(/^page\.evaluate: (\w*Error: )?/, '');

async function launchChromium() {
  const executablePath = process.env.PINHOLE_CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) return undefined;
  const { chromium } = await import('playwright-core');
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'];
  const server = await chromium.launchServer({ executablePath, args });
  return { server, browser: await chromium.connect(server.wsEndpoint()) };
}

/** Asks a runner of its own one question, or several, and ends it. */
async function withRunner(runner, body) {
  try {
    return await body(runner);
  } finally {
    await runner.close();
  }
}

const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const specs = Object.fromEntries(
  allNetworks.map(({ name, file }) => {
    const spec = JSON.parse(readFileSync(path.join(root, file), 'utf8'));
    delete spec.pretrained; // the speed is that of any weights
    return [name, spec];
  }),
);

const prepareRequest = (machine, column, setting, row) => ({
  op: 'prepare',
  spec: specs[row.network],
  classes: row.classes,
  batch: row.batch,
  images: row.images,
  kind: row.kind,
  ...column.request?.(machine, setting, row),
});

/** Starts a column on a row with its best setting. */
async function startColumn(machine, column, row, { seconds }) {
  const settings = column.settings?.(machine) ?? [undefined];
  const begin = async (setting, runner) => {
    try {
      const prepared = await runner.ask(prepareRequest(machine, column, setting, row));
      return { column, runner, setting, description: prepared.description, rates: [] };
    } catch (error) {
      await runner.close();
      throw error;
    }
  };
  if (settings.length === 1) return begin(settings[0], column.start(machine, settings[0]));
  let best;
  for (const setting of settings) {
    const started = await begin(setting, best && column.oneRunner ? best.runner : column.start(machine, setting));
    const { images, seconds: took } = await started.runner.ask({ op: 'measure', seconds: Math.min(seconds, 0.4) });
    const rate = images / took;
    if (!best || rate > best.rate) {
      if (best && !column.oneRunner) await best.runner.close();
      best = { setting, rate, runner: started.runner, started };
    } else if (!column.oneRunner) await started.runner.close();
  }
  return column.oneRunner ? begin(best.setting, best.runner) : best.started;
}

/** A peer whose steps take seconds: a batch that fits the time, twice if there is time for the first not to count. */
async function measureSlow(started, row, { slowSeconds }) {
  const ask = async (batch) => {
    const reply = await started.runner.ask({ op: 'measure', seconds: 0, warm: false, batch });
    return reply.seconds / batch;
  };
  let perImage = await ask(1);
  const batch = Math.max(1, Math.min(row.batch, Math.floor(slowSeconds / 2 / perImage)));
  if (batch > 1 || perImage < slowSeconds) {
    if (batch > 1 && batch * perImage < slowSeconds / 3) await ask(batch); // warm-up at this size
    perImage = await ask(batch);
  }
  started.rates.push(1 / perImage);
  started.batch = batch;
}

async function measureRow(machine, row, options, gaps) {
  heading(`${row.title}, ${row.kind === 'train' ? 'training' : row.latency ? 'latency' : 'inference'}`);
  const here = machine.columns.filter(({ kinds }) => kinds.includes(row.kind));
  const started = [];
  const drop = async (entry, error) => {
    gaps.push({ row: row.name, column: entry.column.name, reason: message(error) });
    console.log(`    ${entry.column.name}: ${message(error)}`);
    started.splice(started.indexOf(entry), 1);
    await entry.runner.close();
  };
  for (const column of here) {
    try {
      started.push(await startColumn(machine, column, row, options));
    } catch (error) {
      gaps.push({ row: row.name, column: column.name, reason: message(error) });
      console.log(`    ${column.name}: ${message(error)}`);
    }
  }
  for (let round = 0; round < options.rounds; ++round) {
    for (const entry of started.filter(({ column }) => !column.slow)) {
      try {
        const { images, seconds, loss } = await entry.runner.ask({ op: 'measure', seconds: options.seconds });
        entry.rates.push(images / seconds);
        entry.loss = loss;
      } catch (error) {
        await drop(entry, error);
      }
    }
  }
  for (const entry of started.filter(({ column }) => column.slow)) {
    try {
      await measureSlow(entry, row, options);
    } catch (error) {
      await drop(entry, error);
    }
  }
  const results = {};
  for (const { column, runner, rates, setting, batch, description, loss } of started) {
    await runner.close();
    results[column.name] = {
      imagesPerSecond: median(rates),
      lowest: Math.min(...rates),
      highest: Math.max(...rates),
      rates,
      setting,
      description,
      loss,
      ...(batch !== undefined && batch !== row.batch && { batch }),
    };
  }
  const reference = results.native?.imagesPerSecond;
  if (reference) for (const result of Object.values(results)) result.toNative = result.imagesPerSecond / reference;
  return results;
}

/**
 * What threads bring, in pairs that follow each other: one thread, all threads, and as many single-threaded engines at the same time,
 * which share nothing but the machine: no plan with as many threads can gain more than they do.
 */
async function measureThreads(machine, row, { rounds, seconds }) {
  const results = {};
  for (const [place, one, all] of [
    ['native', 'native-1', 'native'],
    ['chromium', 'chromium-relaxed-1', 'chromium-relaxed-threads'],
  ]) {
    const named = (name) => machine.columns.find((column) => column.name === name);
    if (!named(one) || !named(all)) continue;
    const runners = [];
    const start = async (name) => {
      const column = named(name);
      const runner = column.start(machine);
      runners.push(runner);
      await runner.ask(prepareRequest(machine, column, undefined, row));
      return runner;
    };
    try {
      const copies = [];
      for (let i = 0; i < machine.cores; ++i) copies.push(await start(one));
      const together = await start(all);
      const rate = async (runner) => {
        // Long enough for engines that are to run at once to overlap.
        const reply = await runner.ask({ op: 'measure', seconds: 2 * seconds });
        return reply.images / reply.seconds;
      };
      const times = { one: [], threads: [], copies: [] };
      for (let round = 0; round < rounds; ++round) {
        times.one.push(await rate(copies[0]));
        times.threads.push(await rate(together));
        times.copies.push((await Promise.all(copies.map(rate))).reduce((a, b) => a + b, 0));
      }
      const over = (above, below) => median(above.map((value, i) => value / below[i]));
      results[place] = {
        stepSeconds: row.batch / median(times.one),
        threads: over(times.threads, times.one),
        copies: over(times.copies, times.one),
        ofCopies: over(times.threads, times.copies),
        rounds: times,
      };
    } catch (error) {
      results[place] = { gap: message(error) };
    } finally {
      for (const runner of runners) await runner.close();
    }
  }
  return results;
}

/** Kernel times and the limits of each place they run in. */
async function measureKernels(machine, { quick, rows: chosen }) {
  const wasm = (variant) => `build/wasm-${variant}/tests/bench/bench_kernels.mjs`;
  const places = [{ name: 'native', start: () => nativeRunner(machine), bytes: 256e6 }];
  const variant = 'relaxed-threads';
  if (machine.browser)
    places.push({
      name: 'chromium',
      bytes: 128e6,
      start: (threads) => chromiumRunner(machine, 'kernels', { module: `/${wasm(variant)}`, threads }),
    });
  else
    places.push({
      name: 'node',
      bytes: 128e6,
      start: (threads) => nodeRunner('kernels', { module: path.join(root, wasm(variant)), threads }),
    });
  const names = new Set(chosen.map(({ network }) => network));
  const results = [];
  for (const place of places) {
    for (const threads of machine.cores > 1 ? [1, machine.cores] : [1]) {
      heading(`Kernels: ${place.name}, ${threads} thread${threads > 1 ? 's' : ''}`);
      try {
        await withRunner(place.start(threads), async (runner) => {
          // Natively the request itself is the message; an engine has one function for both.
          const ask = (request) => runner.ask(place.name === 'native' ? request : { op: 'ask', request });
          const unwrap = (reply) => {
            if (reply.error !== undefined) throw new Error(reply.error);
            return reply;
          };
          const limit = unwrap(await ask({ op: 'probe', threads, bytes: place.bytes }));
          const networks = {};
          for (const { name, classes, batch } of networkList.filter((of) => names.has(of.name))) {
            const request = { op: 'layers', spec: specs[name], classes, batch, threads, seconds: quick ? 0.04 : 0.12 };
            networks[name] = unwrap(await ask(request)).kernels;
          }
          results.push({ place: place.name, threads, limit, networks });
        });
      } catch (error) {
        console.log(`    gap: ${message(error)}`);
        results.push({ place: place.name, threads, gap: message(error) });
      }
    }
  }
  return results;
}

async function measureMemory(machine) {
  heading('Peak memory of training MultiClassCNN(10), 224x224, batch 32');
  const row = rows.find(({ name }) => name === 'multiclass-train');
  const request = (extra) => ({ ...prepareRequest(machine, {}, undefined, row), ...extra });
  const cases = [
    [
      'native',
      async () =>
        withRunner(nativeRunner(machine), async (runner) => {
          await runner.ask(request({ threads: machine.cores, memory: true }));
          return runner.ask({ op: 'memory' });
        }),
    ],
    [
      'chromium-relaxed-threads',
      machine.browser &&
        (() => {
          const config = { module: '/pinhole/index.js', variant: 'relaxed-threads', threads: machine.cores };
          return withRunner(chromiumRunner(machine, 'pinhole', config), (runner) =>
            runner.ask(request({ op: 'memory' })),
          );
        }),
    ],
    [
      'pytorch',
      machine.torch &&
        (() =>
          withRunner(torchRunner({ tuned: false }), async (runner) => {
            await runner.ask(request({ setting: { threads: machine.cores, channels_last: false } }));
            return runner.ask({ op: 'memory' });
          })),
    ],
  ];
  const results = {};
  for (const [name, measure] of cases) {
    if (!measure || !(await chosenColumn(machine, name))) continue;
    try {
      results[name] = await measure();
    } catch (error) {
      results[name] = { gap: message(error) };
    }
  }
  return results;
}
const chosenColumn = (machine, name) => machine.columns.some((column) => column.name === name);

async function measureLoading(machine, { rounds, quick }) {
  const images = quick ? 300 : 1000;
  heading(`Loading ${images} photos (JPEG) at 224x224, all threads`);
  const files = filesBelow(photoFolder).filter((file) => file.endsWith('.jpg'));
  const request = { folder: photoFolder, images, size: 224, threads: machine.cores };
  const cases = [
    ['native', 'Pinhole native', () => nativeRunner(machine), { op: 'load', ...request }],
    [
      'chromium-relaxed-threads',
      'Pinhole Chromium',
      machine.browser &&
        (() =>
          chromiumRunner(machine, 'pinhole', {
            module: '/pinhole/index.js',
            variant: 'relaxed-threads',
            threads: machine.cores,
          })),
      {
        op: 'load',
        images,
        size: 224,
        photos: files.map(
          (file) => `/photos/${path.relative(photoFolder, file).split(path.sep).map(encodeURIComponent).join('/')}`,
        ),
      },
    ],
    ['pytorch', 'Pillow', machine.torch && torchRunner, { op: 'load_pillow', ...request }],
    ['pytorch', 'torchvision', machine.versions.torchvision && torchRunner, { op: 'load_torchvision', ...request }],
  ];
  const results = {};
  const used = [];
  for (const [column, title, start, asked] of cases) {
    if (!chosenColumn(machine, column)) continue;
    if (start) used.push({ title, runner: start(), asked, rates: [] });
    else results[title] = { gap: 'not installed' };
  }
  for (let round = 0; round < Math.min(rounds, 3); ++round) {
    for (const entry of used.filter(({ failed }) => !failed)) {
      try {
        const reply = await entry.runner.ask(entry.asked);
        entry.rates.push(reply.images / reply.seconds);
      } catch (error) {
        entry.failed = message(error);
      }
    }
  }
  for (const { title, runner, rates, failed } of used) {
    await runner.close();
    results[title] = failed
      ? { gap: failed }
      : { imagesPerSecond: median(rates), lowest: Math.min(...rates), highest: Math.max(...rates) };
  }
  return results;
}

/**
 * What a page needs to train, the build that it picks and the engine's worker, and the page itself; compressed one by one as a
 * server does. The page is what its HTML names, what that imports at once, the style and the workers; not what is asked for with
 * import() later: the evaluation, pictures that were classified, zip files and what is taken away.
 */
function downloadBytes() {
  const all = filesBelow('web/dist').filter((file) => /\.(html|js|css)$/.test(file));
  const isEngine = (file) => /^worker-.*\.js$/.test(path.basename(file));
  const page = new Set(all.filter((file) => /(\.html|\.css|\.worker-[^/]*\.js|service-worker\.js)$/.test(file)));
  for (const file of page)
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:src=|from ?|import ?)"(\.\/[^"]+\.js)"/g))
      page.add(path.join(path.dirname(file), name));
  const engine = [
    ...['pinhole.mjs', 'pinhole.wasm'].map((name) => path.join(root, 'web/public/wasm/relaxed-threads', name)),
    ...all.filter(isEngine),
  ];
  const size = (files) => files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
  return { engine: size(engine), ...(page.size && { page: size([...page]) }) };
}

/** Which columns can be measured here, and why the others cannot. */
async function findPeers(machine, wanted, gaps) {
  const needs = new Set(wanted.flatMap((column) => column.needs ?? []));
  await fetchPeers([...needs].filter((need) => need !== 'chromium' && need !== 'torch'));
  machine.versions = { node: process.version };
  const first = needs.has('chromium') ? await launchChromium() : undefined;
  if (first) {
    machine.browser = launchChromium;
    machine.versions.chromium = first.browser.version();
    await first.server.close();
  }
  if (needs.has('torch')) {
    try {
      Object.assign(machine.versions, await withRunner(torchRunner(), (runner) => runner.ask({ op: 'versions' })));
      machine.torch = true;
    } catch (error) {
      machine.versions.torchGap = message(error);
    }
  }
  const have = { chromium: machine.browser, torch: machine.torch };
  for (const need of needs)
    if (!(need in have)) {
      have[need] = installed(need);
      machine.versions[need] = have[need];
    }
  const words = { chromium: 'no Chromium', torch: 'no python3-torch for /usr/bin/python3' };
  machine.columns = wanted.filter((column) => {
    const missing = column.needs?.find((need) => !have[need]);
    if (missing) gaps.push({ column: column.name, reason: words[missing] ?? `no npm package ${missing}` });
    return !missing;
  });
}

/** PyTorch writes each inference network as ONNX; without it ONNX Runtime has nothing to run. */
async function exportOnnx(machine, chosen) {
  machine.onnxFile = (row) => path.join(outFolder, 'onnx', `${row.network}_b${row.batch}.onnx`);
  if (!machine.torch || !machine.columns.some(({ name }) => name.startsWith('onnx'))) return;
  mkdirSync(path.join(outFolder, 'onnx'), { recursive: true });
  await withRunner(torchRunner(), async (runner) => {
    for (const row of chosen.filter(({ kind }) => kind === 'infer'))
      await runner.ask({
        op: 'export',
        spec: specs[row.network],
        classes: row.classes,
        batch: row.batch,
        file: machine.onnxFile(row),
      });
  }).catch((error) => console.log(`    no ONNX files: ${message(error)}`));
}

function save(results) {
  writeFileSync(path.join(outFolder, 'results.json'), `${JSON.stringify(results, undefined, 2)}\n`);
}

async function buildAll() {
  await setUp('native', 'wasm', 'web');
  await build('native', 'wasm', 'engine', 'web');
  heading('Building the bench');
  const targets = [
    ['native', 'native_bench'],
    ['wasm-relaxed-threads', 'bench_kernels'],
  ];
  for (const [preset, target] of targets) {
    const log = [];
    await mustRun(
      'cmake',
      ['--build', '--preset', preset, '--target', target, '--parallel', String(os.availableParallelism())],
      {
        onLine: (line) => log.push(line),
      },
    ).catch((error) => {
      throw new Failure(`${log.join('\n')}\n${error.message}`);
    });
  }
}

main(async () => {
  const options = readOptions();
  if (options.help) {
    console.log(help);
    return;
  }
  const begin = Date.now();
  if (!options['no-build']) await buildAll();
  mkdirSync(outFolder, { recursive: true });
  const gaps = [];
  const machine = {
    cores: os.availableParallelism(),
    nativeBench: path.join(root, 'build/native/tests/bench/native_bench'),
    package: path.join(root, 'build/pinhole'),
  };
  await findPeers(machine, options.columns, gaps);
  const server = await serveFolders({
    bench: import.meta.dirname,
    pinhole: machine.package,
    build: path.join(root, 'build'),
    peers: modules,
    onnx: path.join(outFolder, 'onnx'),
    photos: photoFolder,
  });
  machine.url = server.url;
  try {
    await exportOnnx(machine, options.rows);
    const results = {
      date: new Date().toISOString(),
      commit: output('git', 'rev-parse', '--short', 'HEAD'),
      changedFiles: output('git', 'status', '--porcelain', '--untracked-files=no')?.split('\n').filter(Boolean).length,
      machine: {
        cpu: os.cpus()[0]?.model,
        cores: machine.cores,
        memory: os.totalmem(),
        system: output('sh', '-c', '. /etc/os-release && echo "$PRETTY_NAME"') ?? os.type(),
        kernel: os.release(),
      },
      versions: machine.versions,
      loadAtStart: load(),
      options: { rounds: options.rounds, seconds: options.seconds, quick: options.quick },
      gaps,
    };
    if (results.loadAtStart > 1)
      console.log(`    The machine is busy (load ${results.loadAtStart.toFixed(1)}): these figures are rough.`);
    if (options.parts.includes('speed')) {
      results.speed = {};
      for (const row of options.rows) {
        results.speed[row.name] = await measureRow(machine, row, options, gaps);
        save(results); // a run that is cut short has not been for nothing
      }
    }
    if (options.parts.includes('threads') && machine.cores > 1) {
      heading(`${machine.cores} threads, and ${machine.cores} single-threaded engines at once, over one thread`);
      results.threads = {};
      for (const row of options.rows) results.threads[row.name] = await measureThreads(machine, row, options);
    }
    if (options.parts.includes('kernels')) results.kernels = await measureKernels(machine, options);
    if (options.parts.includes('memory')) results.memory = await measureMemory(machine);
    if (options.parts.includes('loading')) results.loading = await measureLoading(machine, options);
    if (options.parts.includes('page') && machine.browser) {
      heading('The page: until it can be used, and from the drop of 100 photos to a result');
      results.page = await measurePage(options).catch((error) => ({ gap: message(error) }));
    }
    results.download = downloadBytes();
    results.loadAtEnd = load();
    results.minutes = (Date.now() - begin) / 60000;
    results.goals = judgeGoals(results);

    save(results);
    writeFileSync(path.join(outFolder, 'results.html'), htmlReport(results));
    printSpeed(results);
    printThreads(results);
    printKernels(results);
    printOthers(results);
    printGoals(results);
    heading(`${results.minutes.toFixed(1)} minutes; build/bench/results.json, build/bench/results.html`);
  } finally {
    server.close();
  }
});
