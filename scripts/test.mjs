// npm test: sets up, builds, runs all tests and sums up. Parts can be named: npm test -- native wasm browser
// npm run test:asan: the native tests compiled with AddressSanitizer and UndefinedBehaviorSanitizer.
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

/** Node's test runner over all *.test.mjs, *.test.js and *.test.ts of a folder, one file after the other. */
async function nodeTest(folder) {
  const files = filesBelow(folder).filter((file) => /\.test\.(mjs|js)$/.test(file));
  if (files.length === 0) throw new Failure(`there are no tests in ${folder}`);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const names = { pass: 'passed', fail: 'failed', skipped: 'skipped', todo: 'skipped', cancelled: 'failed' };
  // Node 20 has relaxed SIMD behind a flag, later versions by default and without the flag.
  const flags = process.versions.node.startsWith('20.') ? ['--experimental-wasm-relaxed-simd'] : [];
  const args = [...flags, '--test', '--test-reporter=spec', '--test-concurrency=1', ...files];
  const status = await run(process.execPath, args, {
    onLine: (line) => {
      const sum = /^ℹ (pass|fail|skipped|todo|cancelled) (\d+)$/.exec(line);
      if (sum) counts[names[sum[1]]] += Number(sum[2]);
      else if (!line.startsWith('ℹ ')) console.log(line);
    },
  });
  return { status, ...counts };
}

const parts = {
  native: { needs: ['tests'], title: 'Native tests', body: () => ctest('native') },
  wasm: { needs: ['native', 'wasm', 'engine'], title: 'WebAssembly tests in Node', body: () => nodeTest('tests/wasm') },
  browser: {
    needs: ['native', 'wasm', 'engine', 'web'],
    title: 'The page in Chromium',
    body: () => nodeTest('tests/browser'),
  },
  asan: { needs: [], title: 'Native tests with sanitizers', body: () => ctest('native-asan') },
};

main(async () => {
  const named = process.argv.slice(2);
  const unknown = named.find((name) => !(name in parts));
  if (unknown) throw new Failure(`unknown part '${unknown}'; there are: ${Object.keys(parts).join(' ')}`);
  const names = named.length ? named : ['native', 'wasm', 'browser'];
  const needs = new Set(names.flatMap((name) => parts[name].needs));

  await setUp('native', ...(needs.has('wasm') ? ['wasm', 'web'] : []), 'test');
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
  for (const { name, status, passed, failed, skipped, seconds } of rows) {
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
