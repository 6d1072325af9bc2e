// Who is measured, and how each is started. A column: {name, title, kinds, start(machine, setting): runner} and, where they apply,
//   settings   tried once per row; the fastest is measured
//   needs      npm packages, or 'chromium', 'torch'
//   slow       seconds a step: one measurement, on a smaller batch where a whole one would take too long
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { modules } from './peers.mjs';
import { pageRunner, processRunner } from './runners.mjs';

const here = import.meta.dirname;
const both = ['train', 'infer'];

// glibc gives large arrays back to the system after every step, and page faults then cost ten times the compute. Set high, it
// keeps them; PyTorch users on a CPU do the same with jemalloc or tcmalloc.
const tunedAllocator = {
  MALLOC_MMAP_THRESHOLD_: '8589934592',
  MALLOC_TRIM_THRESHOLD_: '8589934592',
  MALLOC_TOP_PAD_: '536870912',
};

// Node 20 has relaxed SIMD behind a flag, later versions by default and without the flag.
const nodeFlags = process.versions.node.startsWith('20.') ? ['--experimental-wasm-relaxed-simd'] : [];

const peerFile = (file) => pathToFileURL(path.join(modules, file)).href;

export const nodeRunner = (engine, config) =>
  processRunner(process.execPath, [
    ...nodeFlags,
    path.join(here, 'engines/node.mjs'),
    pathToFileURL(path.join(here, `engines/${engine}.mjs`)).href,
    JSON.stringify(config),
  ]);

export const nativeRunner = (machine) => processRunner(machine.nativeBench, []);
/** Where memory is measured the allocator is left as it comes. */
export const torchRunner = ({ tuned = true } = {}) =>
  processRunner('/usr/bin/python3', [path.join(here, 'torch_bench.py')], { env: tuned ? tunedAllocator : {} });
export const chromiumRunner = (machine, engine, config) => pageRunner(machine.browser, machine.url, engine, config);

const native = (name, title, threadsOf) => ({
  name,
  title,
  kinds: both,
  ours: true,
  start: (machine) => nativeRunner(machine),
  request: (machine) => ({ threads: threadsOf(machine) }),
});

const builds = [
  ['simd', 'simd', 'SIMD, 1 thread', () => 1],
  ['relaxed-1', 'relaxed-threads', 'relaxed SIMD, 1 thread', () => 1],
  ['simd-threads', 'simd-threads', 'SIMD, all threads', ({ cores }) => cores],
  ['relaxed-threads', 'relaxed-threads', 'relaxed SIMD, all threads', ({ cores }) => cores],
];

const wasm = (place, title, runner, extra) =>
  builds.map(([name, variant, words, threadsOf]) => ({
    name: `${place}-${name}`,
    title: `Pinhole ${title}, ${words}`,
    kinds: both,
    ours: true,
    ...extra,
    start: (machine) => runner(machine, 'pinhole', { variant, threads: threadsOf(machine) }),
  }));

const eachThreadCount = ({ cores }) => (cores > 1 ? [{ threads: 1 }, { threads: cores }] : [{ threads: 1 }]);

export const columns = [
  native('native', 'Pinhole native, all threads', ({ cores }) => cores),
  native('native-1', 'Pinhole native, 1 thread', () => 1),
  ...wasm(
    'chromium',
    'Chromium',
    (machine, engine, config) => chromiumRunner(machine, engine, { module: '/pinhole/index.js', ...config }),
    { needs: ['chromium'] },
  ),
  ...wasm('node', 'Node', (machine, engine, config) =>
    nodeRunner(engine, { module: pathToFileURL(path.join(machine.package, 'index.js')).href, ...config }),
  ),
  {
    name: 'pytorch',
    title: 'PyTorch, native',
    kinds: both,
    needs: ['torch'],
    oneRunner: true,
    settings: (machine) =>
      eachThreadCount(machine).flatMap(({ threads }) =>
        [false, true].map((channels_last) => ({ threads, channels_last })),
      ),
    start: () => torchRunner(),
    request: (machine, setting) => ({ setting }),
  },
  {
    name: 'onnx-node',
    title: 'ONNX Runtime Node, native',
    kinds: ['infer'],
    needs: ['torch', 'onnxruntime-node'],
    settings: eachThreadCount,
    start: (machine, { threads }) =>
      nodeRunner('onnx', { module: peerFile('onnxruntime-node/dist/index.js'), web: false, threads }),
    request: (machine, setting, row) => ({ onnx: machine.onnxFile(row) }),
  },
  {
    name: 'onnx-web',
    title: 'ONNX Runtime Web, Chromium',
    kinds: ['infer'],
    needs: ['chromium', 'torch', 'onnxruntime-web'],
    settings: eachThreadCount,
    start: (machine, { threads }) =>
      chromiumRunner(machine, 'onnx', { module: '/peers/onnxruntime-web/dist/ort.wasm.min.mjs', web: true, threads }),
    request: (machine, setting, row) => ({ onnx: `/onnx/${path.basename(machine.onnxFile(row))}` }),
  },
  {
    name: 'tfjs-wasm',
    title: 'TensorFlow.js wasm, Chromium',
    kinds: ['infer'],
    needs: ['chromium', '@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'],
    settings: eachThreadCount,
    start: (machine, { threads }) =>
      chromiumRunner(machine, 'tensorflow', {
        modules: [
          '/peers/@tensorflow/tfjs/dist/tf.min.js',
          '/peers/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js',
        ],
        backend: 'wasm',
        wasmPath: '/peers/@tensorflow/tfjs-backend-wasm/dist/',
        threads,
      }),
  },
  {
    name: 'tfjs-cpu',
    title: 'TensorFlow.js cpu, Chromium',
    kinds: ['train'],
    needs: ['chromium', '@tensorflow/tfjs'],
    slow: true,
    start: (machine) =>
      chromiumRunner(machine, 'tensorflow', { modules: ['/peers/@tensorflow/tfjs/dist/tf.min.js'], backend: 'cpu' }),
  },
  {
    name: 'jax-js',
    title: 'jax-js wasm, Chromium',
    kinds: ['train'],
    needs: ['chromium', '@jax-js/jax'],
    slow: true,
    start: (machine) => chromiumRunner(machine, 'jax', { module: '/peers/@jax-js/jax/dist/index.js' }),
  },
];

const network = (name, title, file, classes, batch) => ({ name, title, file, classes, batch });
const networks = {
  binary: network('binary', 'BinaryCNN 224 b32', 'models/binary_cnn.json', 2, 32),
  multiclass: network('multiclass', 'MultiClassCNN(10) 224 b32', 'models/multiclass_cnn.json', 10, 32),
  threeconv: network('threeconv', '3-conv 128 b32', 'tests/bench/networks/three_conv.json', 10, 32),
  fashion: network('fashion', 'fashion_cnn 28 b128', 'models/fashion_cnn.json', 10, 128),
};
const transfer = network('transfer', 'TransferCNN 224 b1', 'models/transfer.json', 10, 1);
/** Those that are trained whole. */
export const networkList = Object.values(networks);
/** All that rows use. */
export const allNetworks = [...networkList, transfer];

/** A row: a network and what is done with it. `latency` shows milliseconds. */
export const rows = [
  ...networkList.map((of) => ({
    ...of,
    name: `${of.name}-train`,
    network: of.name,
    kind: 'train',
    images: 4 * of.batch,
  })),
  ...networkList.map((of) => ({
    ...of,
    name: `${of.name}-infer`,
    network: of.name,
    kind: 'infer',
    images: 4 * of.batch,
  })),
  {
    ...networks.multiclass,
    name: 'multiclass-latency',
    title: 'MultiClassCNN(10) 224 b1',
    network: 'multiclass',
    kind: 'infer',
    batch: 1,
    images: 64,
    latency: true,
  },
  { ...transfer, name: 'transfer-latency', network: 'transfer', kind: 'infer', images: 16, latency: true },
];
