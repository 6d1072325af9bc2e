// What the tests of the JavaScript package share: the package as it is built, small models, images made here, processes.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { deflateSync } from 'node:zlib';

export const root = fileURLToPath(new URL('../../', import.meta.url));
/** PINHOLE_PACKAGE and PINHOLE_NATIVE: other build folders than those of `npm test`. */
export const packageFolder = process.env.PINHOLE_PACKAGE ?? path.join(root, 'build/pinhole');
export const nativeFolder = process.env.PINHOLE_NATIVE ?? path.join(root, 'build/native/native');
export const packageUrl = pathToFileURL(path.join(packageFolder, 'index.js')).href;

export const { load } = await import(packageUrl);

/** What this Node can run: 20 has relaxed SIMD behind a flag, later ones always. */
export const relaxedSimd =
  Number(process.versions.node.split('.')[0]) > 20 || process.execArgv.includes('--experimental-wasm-relaxed-simd');
export const variants = ['simd', 'simd-threads', ...(relaxedSimd ? ['relaxed-threads'] : [])];

/** Runs `body` with an engine of its own. */
export async function withEngine(options, body) {
  const pinhole = await load(options);
  try {
    return await body(pinhole);
  } finally {
    pinhole.dispose();
  }
}

/** A network that trains in a blink. `changes` replace keys of the spec. */
export const tinySpec = (changes = {}) => ({
  format: 'pinhole/1',
  name: 'Tiny',
  input: [12, 12, 3],
  layers: [
    { type: 'Conv2d', name: 'conv1', out_channels: 4, kernel_size: 3, padding: 1 },
    { type: 'ReLU', name: 'relu' },
    { type: 'MaxPool2d', name: 'pool', kernel_size: 2, stride: 2 },
    { type: 'Flatten', name: 'flatten' },
    { type: 'Linear', name: 'fc', out_features: 'classes' },
    { type: 'Softmax', name: 'softmax' },
  ],
  ...changes,
});

export const lessonSpec = (name) => JSON.parse(readFileSync(path.join(root, 'models', `${name}.json`), 'utf8'));

/** Reproducible numbers in [0, 1): a linear congruential generator (Numerical Recipes). */
export function random(seed) {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** Noise around a colour that depends on the label. */
export function noiseImage(label, seed, size = 12) {
  const next = random(seed * 977 + label);
  const data = new Uint8ClampedArray(size * size * 4);
  for (let i = 0; i < data.length; ++i)
    data[i] = i % 4 === 3 ? 255 : 255 * (0.5 * next() + (i % 4 === label % 3 ? 0.5 : 0));
  return { data, width: size, height: size };
}

export async function noiseDataset(
  pinhole,
  { classes = ['red', 'green', 'blue'], perClass = 8, size = 12, seed = 1 } = {},
) {
  const data = await pinhole.createDataset({ classes, input: [size, size, 3] });
  const items = classes.flatMap((name, label) =>
    Array.from({ length: perClass }, (_, i) => ({
      image: noiseImage(label, seed * 1000 + i, size),
      label,
      name: `${name}${i}`,
    })),
  );
  const { skipped } = await data.addMany(items);
  if (skipped.length) throw new Error(skipped[0].reason);
  return data;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; ++bit) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** An RGB PNG file; `colour(x, y)` gives [r, g, b]. */
export function png(width, height, colour) {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x) rows.set(colour(x, y), y * (1 + 3 * width) + 1 + 3 * x);
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(
      ~body.reduce((crc, byte) => crcTable[(crc ^ byte) & 255] ^ (crc >>> 8), ~0) >>> 0,
      body.length + 4,
    );
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

export const photoFolder = path.join(root, 'web/public/samples/photos');

/** The first `perClass` sample photos of each class, in ImageFolder's order: [{label, name, file, bytes}]. */
export function photos(classes, perClass) {
  return classes.flatMap((name, label) =>
    readdirSync(path.join(photoFolder, name))
      .sort()
      .slice(0, perClass)
      .map((fileName) => {
        const file = path.join(photoFolder, name, fileName);
        return { label, name: `${name}/${fileName}`, file, bytes: readFileSync(file) };
      }),
  );
}

/** Runs a program to its end: {code, stdout, stderr}. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let stdout = '',
      stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

/** Runs one of our own programs, which must succeed. */
export async function runNative(program, args) {
  const command = path.join(nativeFolder, program);
  if (!existsSync(command)) throw new Error(`${command} is not built; npm test builds it`);
  const { code, stdout, stderr } = await run(command, args);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

/** Runs JavaScript in a Node of its own; `print` what it should give back as JSON. */
export async function runScript(script, { flags = [], timeout = 120_000 } = {}) {
  const code = `import { load } from ${JSON.stringify(packageUrl)};
    const print = (value) => { console.log(JSON.stringify(value)); };\n${script}`;
  const result = await run(process.execPath, [...flags, '--input-type=module', '--eval', code], { timeout });
  if (result.code !== 0) throw new Error(`the script ended with ${result.code}: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

export const largest = (values) => values.reduce((most, value) => Math.max(most, value), 0);
