// Hours of training, evaluating, classifying, saving, loading and disposing, in Node or in Chromium: memory must stay flat, nothing may
// be held after a round, and the session must be as fast in the end as a fresh one, which is started then and takes turns with it: a
// machine is not as fast in one hour as in the other. Prints a line a minute and then what held and what did not.
// A command of its own, for a machine that does little else meanwhile:
//   node tests/soak/soak.mjs [node|chromium] [--minutes 60] [--threads N] [--variant relaxed-threads]
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { build } from '../../scripts/build.mjs';
import { pageRunner, processRunner } from '../bench/runners.mjs';
import { serveFolders } from '../bench/server.mjs';
import { browserArguments, executablePath } from '../browser/page.mjs';
import { privateBytes, renderers } from '../process_memory.mjs';
import { packageFolder, photoFolder, photos, root } from '../wasm/support.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '60' },
    threads: { type: 'string', default: String(os.availableParallelism()) },
    variant: { type: 'string', default: 'relaxed-threads' },
  },
});
const [place = 'node'] = positionals;
const minutes = Number(values.minutes);
if (!['node', 'chromium'].includes(place) || !(minutes >= 2))
  throw new Error('expected node or chromium, and --minutes of 2 or more');

const classes = ['fishes', 'monuments', 'renewable', 'tools'];
/** Before the first minute that counts: the engine's code is compiled twice, and memory grows to what a round needs. */
const warmUp = 60;
const tolerance = { memory: 0.02, speed: 0.05 };
/** Looks at the process in a minute: single ones differ, as garbage comes and goes. */
const looks = 6;
/** Turns of the old session and the fresh one, of so many seconds. */
const turns = { count: 5, seconds: 15 };

function config(address) {
  const model = (name) => address('models', name);
  return {
    module: address('pinhole', 'index.js'),
    variant: values.variant,
    threads: Number(values.threads),
    classes,
    models: [
      { spec: model('multiclass_cnn.json') },
      { spec: model('fashion_small.json') },
      { spec: model('transfer.json'), pretrained: model('mobilenet_v2_trunk.safetensors') },
    ],
    photos: photos(classes, 6).map(({ label, name }) => ({ label, url: address('photos', name) })),
  };
}

const folders = {
  bench: path.join(root, 'tests/bench'),
  soak: import.meta.dirname,
  pinhole: packageFolder,
  models: path.join(root, 'models'),
  photos: photoFolder,
};

function inNode() {
  const address = (folder, name) => pathToFileURL(path.join(folders[folder], name)).href;
  const flags = [
    '--expose-gc',
    ...(process.versions.node.startsWith('20.') ? ['--experimental-wasm-relaxed-simd'] : []),
  ];
  const engine = address('soak', 'engine.mjs');
  const args = [...flags, path.join(folders.bench, 'engines/node.mjs'), engine, JSON.stringify(config(address))];
  const runner = processRunner(process.execPath, args);
  return { ...runner, bytes: () => Promise.resolve(privateBytes(runner.pid)) };
}

async function inChromium() {
  const server = await serveFolders(folders);
  const mark = `--soak=${process.pid}`; // unknown to the browser; its processes are found by it
  const launch = async () => {
    const args = [...browserArguments, '--js-flags=--expose-gc', mark];
    const started = await chromium.launchServer({ executablePath, args });
    return { server: started, browser: await chromium.connect(started.wsEndpoint()) };
  };
  const address = (folder, name) => `${server.url}/${folder}/${name}`;
  const runner = pageRunner(launch, server.url, '../../soak/engine', config(address));
  return {
    ...runner,
    async bytes() {
      await runner.collect();
      return Math.max(...renderers(mark).map(privateBytes));
    },
    async close() {
      await runner.close();
      server.close();
    },
  };
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const mb = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
const percent = (part) => `${(100 * part).toFixed(1)} %`;

await build('wasm', 'engine');
const started = async () => {
  const runner = await (place === 'node' ? inNode() : inChromium());
  await runner.ask({ op: 'soak', seconds: warmUp });
  return runner;
};

/** One point of the curve. */
async function minute(runner) {
  const parts = [];
  for (let i = 0; i < looks; ++i) {
    const { rounds, seconds, memory } = await runner.ask({ op: 'soak', seconds: 60 / looks });
    parts.push({ rounds, seconds, process: await runner.bytes(), memory });
  }
  const sum = (key) => parts.reduce((total, part) => total + part[key], 0);
  return { speed: sum('rounds') / sum('seconds'), process: sum('process') / looks, ...parts.at(-1).memory };
}

/** How much faster the old session is than a fresh one, in turns with it. */
async function againstFresh(runner) {
  const fresh = await started();
  const totals = [runner, fresh].map((one) => ({ one, rounds: 0, seconds: 0 }));
  try {
    for (let turn = 0; turn < turns.count; ++turn) {
      for (const total of totals) {
        const { rounds, seconds } = await total.one.ask({ op: 'soak', seconds: turns.seconds });
        total.rounds += rounds;
        total.seconds += seconds;
      }
    }
  } finally {
    await fresh.close();
  }
  const [old, other] = totals.map(({ rounds, seconds }) => rounds / seconds);
  return old / other - 1;
}

const runner = await started();
const curve = [];
let faster = 0;
try {
  while (curve.length < minutes) {
    const point = await minute(runner);
    curve.push(point);
    console.log(
      `minute ${curve.length}: ${(60 * point.speed).toFixed(1)} rounds a minute; the process ${mb(point.process)}, ` +
        `WebAssembly ${mb(point.bytesReserved)}, in use ${point.bytesInUse} bytes; ` +
        `${point.datasets} data sets, ${point.models} models, ${point.runs} runs`,
    );
  }
  faster = await againstFresh(runner);
} finally {
  await runner.close();
}

/** How much the process has grown from the first minute to the last, as a line through all of them has it. */
function growth(values) {
  const middle = (values.length - 1) / 2;
  const spread = values.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
  const slope = values.reduce((sum, value, i) => sum + (i - middle) * value, 0) / spread;
  return (slope * 2 * middle) / (mean(values) - slope * middle);
}

const held = curve.reduce((most, { datasets, models, runs }) => Math.max(most, datasets + models + runs), 0);
const speed = curve.at(-1).speed / curve[0].speed - 1;
const goals = [
  ['memory of the process, a line through all minutes', growth(curve.map((point) => point.process)), tolerance.memory],
  ['WebAssembly memory, the last minute against the first', curve.at(-1).bytesReserved / curve[0].bytesReserved - 1, 0],
  ['bytes in use after a round, likewise', curve.at(-1).bytesInUse / curve[0].bytesInUse - 1, tolerance.memory],
  ['rounds a minute, against a fresh session in turns', -faster, tolerance.speed],
];
let missed = held > 0 ? 1 : 0;
console.log(`\n${place}, ${minutes} minutes, ${values.threads} threads, ${values.variant}`);
console.log(
  `rounds a minute, the last against the first: ${speed >= 0 ? '+' : ''}${percent(speed)} (the machine's part in it)`,
);
console.log(`held after a round, at most: ${held} ${held > 0 ? 'MISSED (0)' : 'ok'}`);
for (const [what, worse, most] of goals) {
  const ok = worse <= most;
  if (!ok) ++missed;
  const signed = what.startsWith('rounds') ? -worse : worse;
  console.log(`${what}: ${signed >= 0 ? '+' : ''}${percent(signed)} ${ok ? 'ok' : `MISSED (${percent(most)})`}`);
}
process.exitCode = missed ? 1 : 0;
