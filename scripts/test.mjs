// npm test: sets up, builds, runs all tests and sums up. Parts can be named: npm test -- native wasm browser firefox webkit
// Firefox and WebKit try the page's core flow. To be named: firefox-whole, every test of the page there.
// npm run test:asan: the native tests compiled with AddressSanitizer and UndefinedBehaviorSanitizer, by clang: gcc takes longer.
import { existsSync } from 'node:fs';
import { build, buildPreset } from './build.mjs';
import { Failure, filesBelow, heading, main, run, setUp } from './lib.mjs';

/** What a part reports: its exit status, and how many tests passed, failed and were skipped. */
async function ctest(preset) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const status = await run('ctest', ['--preset', preset, '--parallel', '2', '--no-tests=error'], {
    onLine: (line) => {
      // One test per line: "12/345 Test #12: name ....   Passed    0.02 sec". What passes needs no line of output.
      const test = /^ *\d+\/\d+ Test +#\d+: .*?(Passed|\*\*\*Skipped|Not Run|\*\*\*|Exception)/.exec(line);
      if (test?.[1] === 'Passed') counts.passed++;
      else if (test?.[1] === '***Skipped' || test?.[1] === 'Not Run') counts.skipped++;
      else if (test) counts.failed++;
      const framing =
        /^ *Start +\d+:|^$|^Test project|^Running main|^Note: Google|^\[[-=]{10}\]|^\[ RUN |^\[  (PASSED|FAILED)|FAILED TEST/;
      if (test?.[1] !== 'Passed' && !framing.test(line)) console.log(line.replace(/ ?\.{3,}/, ' '));
    },
  });
  return { status, ...counts };
}

/**
 * Node's test runner over the test files among the given files and folders, `atOnce` at a time. `names`: of these tests alone.
 */
async function nodeTest(folders, { env, names = [], atOnce = 1 } = {}) {
  const files = filesBelow(...folders).filter((file) => /\.test\.(mjs|js)$/.test(file));
  if (files.length === 0) throw new Failure(`there are no tests in ${folders.join(' ')}`);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const sums = { pass: 'passed', fail: 'failed', skipped: 'skipped', todo: 'skipped', cancelled: 'failed' };
  // Node 20 has relaxed SIMD behind a flag, later versions by default and without the flag.
  const flags = process.versions.node.startsWith('20.') ? ['--experimental-wasm-relaxed-simd'] : [];
  const chosen = names.map((name) => `--test-name-pattern=^${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`);
  const args = [...flags, '--test', '--test-reporter=spec', `--test-concurrency=${atOnce}`, ...chosen, ...files];
  let others = 0;
  const status = await run(process.execPath, args, {
    env,
    onLine: (line) => {
      const sum = /^ℹ (pass|fail|skipped|todo|cancelled) (\d+)$/.exec(line);
      if (sum) counts[sums[sum[1]]] += Number(sum[2]);
      else if (line.endsWith('# test name does not match pattern')) ++others;
      else if (!line.startsWith('ℹ ')) console.log(line);
    },
  });
  counts.skipped -= others;
  if (counts.passed + counts.failed + counts.skipped < names.length)
    throw new Failure(`of ${names.length} chosen tests some are there no more; scripts/test.mjs names them`);
  return { status, ...counts };
}

/** The tests of the page in another browser, if it is installed; the summary names what is missing. */
async function inBrowser(name, programs, folders, names) {
  const missing = programs.filter((program) => !existsSync(program));
  if (missing.length) return { status: 0, passed: 0, failed: 0, skipped: 0, missing };
  return nodeTest(folders, { env: { PINHOLE_BROWSER: name }, names });
}

const firefox = [process.env.PINHOLE_FIREFOX ?? '/usr/bin/firefox-esr'];
const webkit = ['/usr/bin/WebKitWebDriver', '/usr/bin/Xvfb'];
const coreFiles = (...names) => names.map((name) => `tests/browser/${name}.test.mjs`);
/** What is tried in Firefox every time, by the beginnings of the tests' names. */
const coreTests = [
  'a folder of photos trains a model',
  'a zip of photos becomes classes; a reload',
  'a confusion cell opens its images',
  'once loaded it works without a network',
  'the HTML file, opened from the disk',
  'by keyboard alone',
];
const page = ['native', 'wasm', 'engine', 'web'];

const parts = {
  native: { needs: ['tests'], title: 'Native tests', body: () => ctest('native') },
  wasm: {
    needs: ['native', 'wasm', 'engine'],
    title: 'WebAssembly tests in Node',
    body: () => nodeTest(['tests/wasm'], { atOnce: 2 }),
  },
  browser: {
    needs: page,
    title: 'The page in Chromium',
    body: () => nodeTest(['tests/browser'], { env: { PINHOLE_BROWSER: 'chromium' } }),
  },
  firefox: {
    needs: page,
    title: 'The page in Firefox',
    body: () =>
      inBrowser('firefox', firefox, coreFiles('core', 'page', 'training', 'takeaway', 'accessibility'), coreTests),
  },
  webkit: {
    needs: page,
    title: 'The page in WebKit',
    body: () => inBrowser('webkit', webkit, coreFiles('core')),
  },
  'firefox-whole': {
    needs: page,
    title: 'The whole page in Firefox',
    body: () => inBrowser('firefox', firefox, ['tests/browser']),
  },
  asan: { needs: [], title: 'Native tests with sanitizers', body: () => ctest('native-asan') },
};

main(async () => {
  const named = process.argv.slice(2);
  const unknown = named.find((name) => !(name in parts));
  if (unknown) throw new Failure(`unknown part '${unknown}'; there are: ${Object.keys(parts).join(' ')}`);
  const names = named.length ? named : ['native', 'wasm', 'browser', 'firefox', 'webkit'];
  const needs = new Set(names.flatMap((name) => parts[name].needs));

  const others = names.some((name) => /^(firefox|webkit)/.test(name));
  await setUp(
    'native',
    ...(needs.has('wasm') ? ['wasm', 'web'] : []),
    'test',
    ...(others ? ['browsers'] : []),
    ...(names.includes('asan') ? ['fuzz'] : []),
  );
  if (needs.size) await build(...needs);
  if (names.includes('asan')) {
    await buildPreset('native-asan', { what: 'the native programs and tests with sanitizers', tests: true });
  }

  const rows = [];
  for (const name of names) {
    heading(parts[name].title);
    const start = Date.now();
    let result;
    try {
      result = await parts[name].body();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      console.log(error.message);
      result = { status: 1, passed: 0, failed: 0, skipped: 0 };
    }
    rows.push({ name, seconds: (Date.now() - start) / 1000, ...result });
  }

  heading('Summary');
  for (const { name, status, passed, failed, skipped, missing, seconds } of rows) {
    if (missing) {
      console.log(`    skip  ${name.padEnd(8)} SKIPPED: there is no ${missing.join(' and no ')}`);
      continue;
    }
    const counts = [`${passed} passed`, failed && `${failed} failed`, skipped && `${skipped} SKIPPED`]
      .filter(Boolean)
      .join(', ');
    console.log(
      `    ${status === 0 ? 'ok  ' : 'FAIL'}  ${name.padEnd(8)} ${counts.padEnd(36)} ${seconds.toFixed(0).padStart(4)} s`,
    );
  }
  const failed = rows.filter(({ status }) => status !== 0);
  console.log(failed.length ? `    FAILED: ${failed.map(({ name }) => name).join(', ')}` : '    All tests passed.');
  return failed.length ? 1 : 0;
});
