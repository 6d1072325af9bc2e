// The other engines: fetched from npm into the cache, once. One that cannot be had becomes a gap with a name, not an error.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { heading, run } from '../../scripts/lib.mjs';

export const folder = path.join(process.env.PINHOLE_CACHE ?? path.join(homedir(), '.cache/pinhole'), 'bench');
export const modules = path.join(folder, 'node_modules');

const packages = {
  '@tensorflow/tfjs': '4.22.0',
  '@tensorflow/tfjs-backend-wasm': '4.22.0',
  '@jax-js/jax': '0.1.25',
  'onnxruntime-node': '1.30.0',
  'onnxruntime-web': '1.30.0',
};

/** The version that is installed, or undefined. */
export function installed(name) {
  const file = path.join(modules, name, 'package.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined;
}

/** Installs what is missing; says so, since it is large. */
export async function fetchPeers(names) {
  const missing = names.filter((name) => installed(name) !== packages[name]);
  if (missing.length === 0) return;
  heading(`Fetching ${missing.join(', ')} from npm into ${folder} (up to 750 MB, once)`);
  mkdirSync(folder, { recursive: true });
  const manifest = path.join(folder, 'package.json');
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
  // Without scripts: onnxruntime-node's would fetch libraries for GPUs.
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', '--loglevel=error'];
  const wanted = missing.map((name) => `${name}@${packages[name]}`);
  const status = await run('npm', ['install', ...flags, ...wanted], { cwd: folder });
  if (status !== 0) console.log('    npm could not fetch them; the bench goes on without');
}
