// Kills a training on Fashion-MNIST again and again, at random moments, with SIGKILL, and compares what it saves in the end with
// what an undisturbed training saves. By hand, as it takes minutes:
//
//   node tests/kill_test.mjs [--kills 50] [--epochs 3] [--data /usr/share/datasets/fashion-mnist] [--steps 200] [--seed 1]
//
// --steps: the state is written every so many steps, and after every epoch.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    epochs: { type: 'string', default: '3' },
    data: { type: 'string', default: '/usr/share/datasets/fashion-mnist' },
    steps: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
});
/** PINHOLE_NATIVE: another build folder than that of `npm test`. */
const program = process.env.PINHOLE_NATIVE
  ? path.join(process.env.PINHOLE_NATIVE, 'native_train')
  : fileURLToPath(new URL('../build/native/native/native_train', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-kill-'));
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});

// A generator of our own, so that a run can be repeated (Numerical Recipes' constants).
let chance = Number(values.seed) >>> 0;
const random = () => (chance = (Math.imul(chance, 1664525) + 1013904223) >>> 0) / 2 ** 32;

/** Runs one training; `limit`: milliseconds until it is killed. Gives its signal and its seconds. */
function train(name, threads, limit) {
  const args = ['--data', values.data, '--model', 'fashion_cnn', '--epochs', values.epochs, '--threads', threads];
  args.push('--out', path.join(folder, `${name}.safetensors`), '--checkpoint', path.join(folder, `${name}.state`));
  args.push('--checkpoint-steps', values.steps, '--resume');
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const timer = limit === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), limit);
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (code) reject(new Error(`native_train ended with ${code}`));
      resolve({ signal, seconds: (performance.now() - start) / 1000 });
    });
  });
}

const checksum = (name) =>
  createHash('sha256')
    .update(readFileSync(path.join(folder, `${name}.safetensors`)))
    .digest('hex');

const whole = await train('whole', '2');
console.log(`undisturbed, 2 threads: ${whole.seconds.toFixed(0)} s, sha256 ${checksum('whole')}`);

// The training must last for all kills, so each lets it run for its share at most, and now and then only for an instant.
const share = (2 * whole.seconds * 1000) / Number(values.kills);
let kills = 0,
  early = 0;
while (kills < Number(values.kills)) {
  const limit = random() < 0.2 ? random() * 400 : 500 + random() * share;
  const { signal } = await train('killed', String(1 + (kills % 2)), limit);
  if (signal === 'SIGKILL') ++kills;
  else {
    // Done before its time: the rest of the kills hit a training that only has to save again.
    ++early;
    if (early > Number(values.kills)) break;
  }
}
await train('killed', '2');
const state = existsSync(path.join(folder, 'killed.state/state.safetensors'));
console.log(`killed ${kills} times (${early} runs ended before their kill), 1 and 2 threads in turn`);
console.log(`resumed to the end: sha256 ${checksum('killed')}${state ? '' : ', but its state is gone'}`);
const same = checksum('killed') === checksum('whole');
console.log(same ? 'the same bytes' : 'OTHER BYTES');
process.exitCode = same && state && kills === Number(values.kills) ? 0 : 1;
