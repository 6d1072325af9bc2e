// npm run import -- PATH [--out FILE]: an image model of Teachable Machine (a folder or a zip with metadata.json, model.json and
// weights.bin) as a model file of Pinhole. Relative paths mean what they mean where npm was called.
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { unzipSync } from 'fflate';
import { build } from './build.mjs';
import { Failure, main, root, setUp } from './lib.mjs';

const help = `npm run import -- PATH [--out FILE]

Makes a Pinhole model of an image model that was exported from Teachable Machine for TensorFlow.js ("Download"). PATH is the zip, or
the folder with metadata.json, model.json and weights.bin. The model goes to FILE (default: PATH with .safetensors at its end), and
everything takes it: npm run classify, npm run export, the page.

It gives Teachable Machine's own answers: as there, only the middle square of a picture is looked at.`;

const largest = 256 << 20;

/** Name -> bytes. */
function filesAt(from) {
  if (!existsSync(from)) throw new Failure(`${from} does not exist`);
  const isPart = (name) => /\.(json|bin)$/i.test(name);
  if (statSync(from).isDirectory()) {
    const names = readdirSync(from).filter(isPart);
    return Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(path.join(from, name)))]));
  }
  let size = 0;
  const filter = ({ name, originalSize }) =>
    isPart(name) && !name.startsWith('__MACOSX') && (size += originalSize) <= largest;
  try {
    return Object.fromEntries(
      Object.entries(unzipSync(readFileSync(from), { filter })).map(([name, bytes]) => [path.basename(name), bytes]),
    );
  } catch {
    throw new Failure(`${from} is no zip file that can be read, and no folder`);
  }
}

main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return console.log(help);
  const [given] = positionals;
  if (!given || positionals.length > 1) throw new Failure(`expected one PATH, got ${positionals.length}\n\n${help}`);
  const from = path.resolve(process.env.INIT_CWD ?? root, given);
  const out = values.out
    ? path.resolve(process.env.INIT_CWD ?? root, values.out)
    : `${from.replace(/\.zip$/i, '').replace(/\/$/, '')}.safetensors`;
  const files = filesAt(from);
  await setUp('native', 'wasm', 'web');
  await build('wasm', 'engine');
  const { load } = await import('../build/pinhole/index.js');
  const pinhole = await load({ variant: 'simd' });
  try {
    const model = await pinhole.importTeachableMachine(files).catch((error) => {
      throw new Failure(`${from}: ${error.message}`);
    });
    const { parameters, input } = model.summary();
    // Whole or not at all.
    writeFileSync(`${out}.part`, await model.save());
    renameSync(`${out}.part`, out);
    console.log(`read   ${from}: ${model.classes.join(', ')}`);
    console.log(`wrote  ${out} (${model.summary().name}, ${input.join('x')}, ${parameters} parameters)`);
  } finally {
    pinhole.dispose();
  }
});
