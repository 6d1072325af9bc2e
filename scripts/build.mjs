// Builds what is out of date and says nothing about the rest:  node scripts/build.mjs [native] [tests] [wasm] [engine] [web]
//
//   models  models/mobilenet_v2_trunk.safetensors: always, for all of them
//   native  build/native/native/{native_train,native_classify,native_export}
//   tests   the native tests (not built unless named)
//   wasm    build/wasm-<variant>/wasm/pinhole.{mjs,wasm}, copied for the page to web/public/wasm/<variant>/ (which the
//           page sees as ./wasm/<variant>/) and for the package to build/pinhole/wasm/<variant>/
//   engine  build/pinhole/: the package `pinhole` as plain ES modules with types (index.js, worker.js; htmlRuntime.js is the script of
//           the files that exportHtml() writes), for Node and browsers
//   web     the page, by Vite with web/app/vite.config.ts
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { importTrunk, trunkFile } from './backbone.mjs';
import { Failure, filesBelow, heading, main, mustRun, outOfDate, root, run, setUp } from './lib.mjs';

export const variants = ['simd', 'simd-threads', 'relaxed-threads'];

/**
 * Configures one preset of CMakePresets.json, if that was not done yet (from then on, CMake looks after itself). The tests
 * are left out until somebody asks for them: they need GoogleTest, which `npm start` does not install.
 */
export async function configure(preset, { tests = false, what = preset } = {}) {
  const folder = path.join(root, 'build', preset);
  const cache = path.join(folder, 'CMakeCache.txt');
  const hasTests = existsSync(cache) && readFileSync(cache, 'utf8').includes('PINHOLE_BUILD_TESTS:BOOL=ON');
  if (outOfDate(path.join(folder, 'build.ninja'), 'CMakePresets.json') || (tests && !hasTests)) {
    heading(`Configuring ${what}`);
    const log = [];
    const args = ['--preset', preset, `-DPINHOLE_BUILD_TESTS=${tests || hasTests ? 'ON' : 'OFF'}`];
    const status = await run('cmake', args, {
      onLine: (line) => {
        log.push(line);
        if (line.includes('Building XNNPACK')) console.log(line.replace(/^-- /, '    '));
      },
    });
    if (status !== 0) throw new Failure(`${log.join('\n')}\ncmake --preset ${preset} failed`);
    const now = new Date();
    utimesSync(path.join(folder, 'build.ninja'), now, now);
  }
}

/** Configures and builds one preset: everything, or the named targets. */
export async function buildPreset(preset, { tests, what = preset, targets = [] } = {}) {
  await configure(preset, { tests, what });
  // Ninja's lines "[3/40] Building ..." become one that moves; everything else (warnings, errors) is shown.
  let announced = false;
  let width = 0;
  const show = (line) => {
    const progress = /^\[(\d+)\/(\d+)\] (?!Re-checking)/.exec(line);
    if (progress && !announced) {
      heading(`Building ${what}`);
      announced = true;
    }
    if (progress && process.stdout.isTTY) {
      const text = line.slice(0, (process.stdout.columns ?? 80) - 1);
      process.stdout.write(`\r${text.padEnd(width)}`);
      width = text.length;
    } else if (!progress && !/^\[|^-- |no work to do|^$/.test(line)) {
      console.log(`${width ? '\n' : ''}${line}`);
      width = 0;
    }
  };
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? String(os.availableParallelism());
  const target = targets.length ? ['--target', ...targets] : [];
  await mustRun('cmake', ['--build', '--preset', preset, '--parallel', jobs, ...target], { onLine: show });
  if (width) process.stdout.write('\n');
}

export const buildNative = () =>
  buildPreset('native', { what: 'the native programs', targets: ['native_train', 'native_classify', 'native_export'] });

export const buildTests = () => buildPreset('native', { what: 'the native programs and tests', tests: true });

/** The pretrained weights that models/transfer.json starts from, taken out of their npm package. */
export function buildModels() {
  if (outOfDate(trunkFile, 'scripts/backbone.mjs', 'package-lock.json')) {
    heading('Taking the pretrained weights out of @mediapipe/objectron');
    importTrunk();
  }
  copyIfNewer('models/mobilenet_v2_trunk.safetensors', 'web/public/models/mobilenet_v2_trunk.safetensors');
}

export async function buildWasm() {
  for (const variant of variants) {
    const preset = `wasm-${variant}`;
    await buildPreset(preset, { what: `WebAssembly (${variant})` });
    for (const folder of ['web/public/wasm', 'build/pinhole/wasm']) {
      copyIfNewer(`build/${preset}/wasm/pinhole.wasm`, `${folder}/${variant}/pinhole.wasm`);
      await minifyIfNewer(`build/${preset}/wasm/pinhole.mjs`, `${folder}/${variant}/pinhole.mjs`);
    }
  }
}

function copyIfNewer(from, to) {
  if (!outOfDate(to, from)) return;
  const target = path.join(root, to);
  mkdirSync(path.dirname(target), { recursive: true });
  copyFileSync(path.join(root, from), target);
}

/** What Emscripten writes has no spaces, but long names: a quarter of it is left out, gzipped. */
async function minifyIfNewer(from, to) {
  if (!outOfDate(to, from, 'scripts/build.mjs')) return;
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: [from],
    outfile: to,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'warning',
  });
}

export async function buildEngine() {
  const stamp = path.join(root, 'build/pinhole/.stamp');
  if (
    !outOfDate(
      stamp,
      'web/engine',
      'tsconfig.engine.json',
      'tsconfig.base.json',
      'package-lock.json',
      'scripts/build.mjs',
    )
  )
    return;
  heading('Building the JavaScript package');
  const { build } = await import('esbuild');
  rmSync(stamp, { force: true });
  for (const file of filesBelow('build/pinhole').filter((name) => /(\.js|\.d\.ts|\.map)$/.test(name))) rmSync(file);
  await build({
    absWorkingDir: root,
    entryPoints: ['web/engine/index.ts', 'web/engine/worker.ts'],
    outdir: 'build/pinhole',
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    sourcemap: true,
    logLevel: 'warning',
  });
  // A script of its own, which exportHtml() puts into the files that it writes.
  await build({
    absWorkingDir: root,
    entryPoints: ['web/engine/takeaway/runtime.ts'],
    outfile: 'build/pinhole/htmlRuntime.js',
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'warning',
  });
  await mustRun('npx', ['--no-install', 'tsc', '-p', 'tsconfig.engine.json']);
  writeFileSync(stamp, '');
}

export async function buildWeb() {
  const stamp = path.join(root, 'build/web.stamp');
  if (!outOfDate(stamp, 'web', 'models', 'package.json', 'package-lock.json', 'tsconfig.base.json')) return;
  heading('Building the page');
  const { build } = await import('vite');
  await build({ configFile: viteConfig(), logLevel: 'warn' });
  writeFileSync(stamp, '');
}

export function viteConfig() {
  return path.join(root, 'web/app/vite.config.ts');
}

const builders = {
  models: buildModels,
  native: buildNative,
  tests: buildTests,
  wasm: buildWasm,
  engine: buildEngine,
  web: buildWeb,
};

/** Builds the named parts (all but the tests when none is named), in the order in which they need each other. */
export async function build(...parts) {
  const unknown = parts.filter((part) => !(part in builders));
  if (unknown.length) throw new Failure(`unknown part '${unknown[0]}'; there are: ${Object.keys(builders).join(' ')}`);
  for (const [name, builder] of Object.entries(builders)) {
    if (name === 'models' || (parts.length === 0 ? name !== 'tests' : parts.includes(name))) await builder();
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(async () => {
    const parts = process.argv.slice(2);
    await setUp('native', 'wasm', 'web', ...(parts.includes('tests') ? ['test'] : []));
    await build(...parts);
  });
}
