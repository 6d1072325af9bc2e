// The parsers that are JavaScript, the page's zip reader and the reader of the pretrained weights, on thousands of damaged files:
// each gives a result or an Error of our own words. The parsers of the core have fuzzers; `npm run fuzz` runs both for longer, these
// tests with PINHOLE_MUTATE_SECONDS, other files each time (PINHOLE_MUTATE_SEED repeats one).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import test from 'node:test';
import { zipSync } from 'fflate';
import { readConvolutions, trunkTensors } from '../../scripts/backbone.mjs';
import { Failure } from '../../scripts/lib.mjs';
import { random, root } from './support.mjs';

const seconds = Number(process.env.PINHOLE_MUTATE_SECONDS ?? 0);
const timeout = 300_000 + 1000 * seconds;

/** The numbers 0, 1, ...: `least` of them, or as many as there is time for. */
function* rounds(t, least) {
  const end = Date.now() + 1000 * seconds;
  let round = 0;
  while (round < least || Date.now() < end) yield round++;
  t.diagnostic(`${round} files were damaged`);
}

/** A generator of random numbers: the same ones each time, or others where there is time for more. */
function chance(t, seed) {
  const chosen = Number(process.env.PINHOLE_MUTATE_SEED ?? (seconds ? Date.now() % 2 ** 31 : seed));
  t.diagnostic(`seed ${chosen}`);
  return random(chosen);
}

async function importSource(name) {
  const { build } = await import('esbuild');
  const entryPoints = [path.join(root, name)];
  const { outputFiles } = await build({ entryPoints, bundle: true, write: false, format: 'esm', logLevel: 'error' });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

/** Some bytes become others, mostly in `parts` ([from, to), which hold the structure); now and then the end is cut off. */
function damaged(bytes, next, parts = [[0, bytes.length]]) {
  const copy = Uint8Array.from(bytes);
  const below = (limit) => Math.floor(next() * limit);
  const telling = [0x00, 0x01, 0x7f, 0x80, 0xff];
  for (let count = 1 + below(6); count > 0; --count) {
    const [from, to] = next() < 0.8 ? parts[below(parts.length)] : [0, bytes.length];
    const at = from + below(to - from);
    if (next() < 0.3) copy.fill(telling[below(5)], at, Math.min(at + 4, copy.length));
    else copy[at] = next() < 0.5 ? telling[below(5)] : below(256);
  }
  return next() < 0.1 ? copy.subarray(0, below(copy.length)) : copy;
}

test('5,000 damaged zip files each open, or say in our words why not', { timeout }, async (t) => {
  const { filesInZip } = await importSource('web/app/files/zip.ts');
  const text = (size) => new Uint8Array(size).fill(97, 0, size / 2);
  const whole = zipSync({
    'cats/one.jpg': text(3000),
    'cats/two.jpg': [text(500), { level: 0 }],
    'dogs/ü/three.jpg': [Uint8Array.from({ length: 700 }, (_, i) => (i * 197) % 251), { level: 9 }],
    'dogs/none.jpg': new Uint8Array(),
  });
  const list = new DataView(whole.buffer).getUint32(whole.length - 22 + 16, true);
  const parts = [
    [list, whole.length],
    [whole.length - 22, whole.length],
    [0, 300],
  ];
  const next = chance(t, 2026);
  const seen = { files: 0, refused: 0, messages: new Set() };
  const ownWords = (error) => {
    assert.equal(error.constructor, Error, `${error.constructor.name}: ${error.message}`);
    assert.match(error.message, /^[^\n]{10,200}$/);
    seen.messages.add(error.message);
  };
  for (const round of rounds(t, 5000)) {
    let files = [];
    try {
      files = await filesInZip(new File([round === 0 ? whole : damaged(whole, next, parts)], 'pets.zip'));
    } catch (error) {
      ownWords(error);
    }
    for (const { path: parts, file } of files) {
      assert(parts.length >= 1 && parts[0] === 'pets' && !parts.slice(1).includes('..'), parts.join('/'));
      try {
        const { size } = await file.open();
        assert(size <= 8000 || size <= whole.length, `${size} bytes out of ${whole.length}`);
        ++seen.files;
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        ownWords(error);
        ++seen.refused;
      }
    }
    if (round === 0) assert.equal(seen.files, 4);
  }
  // Otherwise the damage hits nothing that matters.
  assert(
    seen.files > 1000 && seen.refused > 500 && seen.messages.size >= 6,
    JSON.stringify({ ...seen, messages: [...seen.messages] }),
  );
});

test(
  '2,000 damaged Teachable Machine models each give a model, or say in our words why not',
  { timeout },
  async (t) => {
    const { importTeachableMachine } = await importSource('web/engine/import/teachableMachine.ts');
    const folder = path.join(root, 'tests/golden/layers_models');
    const wholes = ['v1', 'v2'].map((name) =>
      Object.fromEntries(
        ['metadata.json', 'model.json', 'weights.bin'].map((file) => [
          file,
          new Uint8Array(readFileSync(path.join(folder, name, file))),
        ]),
      ),
    );
    const next = chance(t, 11);
    const messages = new Set();
    let accepted = 0;
    let damages = 0;
    /** JSON stays JSON, or nothing behind its parser would be reached: a number, a word or a bracket becomes another one. */
    const changed = (bytes) => {
      const words = new TextDecoder().decode(bytes).match(/"[^"]*"|-?[\d.]+|\w+|[^\w"]/g);
      const pool = [
        '0',
        '-1',
        '1e9',
        '0.5',
        'null',
        'true',
        '[]',
        '{}',
        '"same"',
        '"valid"',
        '"relu"',
        '"Add"',
        '"Model"',
      ];
      for (let count = 1 + Math.floor(3 * next()); count > 0; --count) {
        const at = Math.floor(next() * words.length);
        if (/^["\d-]|null|true|false/.test(words[at]))
          words[at] = next() < 0.5 ? pool[Math.floor(next() * pool.length)] : words[Math.floor(next() * words.length)];
      }
      return new TextEncoder().encode(words.join(''));
    };
    for (const round of rounds(t, 2000)) {
      damages = round + 1;
      const files = { ...wholes[round % 2] };
      const which = next() < 0.8 ? 'model.json' : ['metadata.json', 'weights.bin'][Math.floor(2 * next())];
      files[which] = which !== 'weights.bin' && next() < 0.9 ? changed(files[which]) : damaged(files[which], next);
      try {
        const { spec, classes, weights } = await importTeachableMachine(files);
        assert(classes.length >= 2 && spec.layers.length > 2 && weights.length > 100);
        ++accepted;
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        assert.equal(error.constructor, Error, error.stack);
        assert.match(error.message, /^[^\n]{10,400}$/);
        messages.add(error.message.replace(/\d+/g, '#'));
      }
    }
    assert(
      accepted > damages / 20 && accepted < damages - 100 && messages.size >= 40,
      JSON.stringify({ accepted, messages: [...messages] }),
    );
  },
);

test('600 damaged TFLite files each give weights, or say in our words why not', { timeout }, (t) => {
  const require = createRequire(import.meta.url);
  const folder = path.dirname(require.resolve('@mediapipe/objectron/package.json'));
  const file = readFileSync(path.join(folder, 'objectron_solution_packed_assets.data')).subarray(184);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = view.getUint32(0, true);
  // Structure stands at both ends of a FlatBuffer, weights in between.
  const parts = [
    [0, 64],
    [Math.max(0, start - 200), Math.min(file.length, start + 400)],
    [file.length - 60_000, file.length],
  ];
  const next = chance(t, 7);
  const messages = new Set();
  let accepted = 0;
  let damages = 0;
  const length = trunkTensors(readConvolutions(new Uint8Array(file))).size;
  for (const round of rounds(t, 600)) {
    damages = round + 1;
    try {
      assert.equal(trunkTensors(readConvolutions(damaged(file, next, parts))).size, length);
      ++accepted;
    } catch (error) {
      assert(error instanceof Failure, error.stack);
      messages.add(error.message);
    }
  }
  assert(
    accepted > damages / 30 && accepted < damages - 20 && messages.size >= 3,
    JSON.stringify({ accepted, messages: [...messages] }),
  );
});
