// Exports against the programs that people run them with: every model of models/ and random chains of layers, as ONNX in both
// forms (ONNX Runtime for Node and for the web, and the onnx checker where a Python has it), as PyTorch source and as a web page, on
// the sample photos.
//
//   npm run test:exports                        everything
//   npm run test:exports -- --chains 5 --seed 7 --photos 10 --no-torch
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from '../../scripts/build.mjs';
import { Failure, main, root } from '../../scripts/lib.mjs';
import { fetchPeers } from '../bench/peers.mjs';
import { exportCases, verifyExport } from './export_cases.mjs';
import { run } from '../wasm/support.mjs';

/** The first Python that has the onnx package. */
async function findOnnxChecker() {
  for (const python of [process.env.PYTHON, 'python3', '/usr/bin/python3'].filter(Boolean)) {
    const { code } = await run(python, ['-c', 'import onnx']).catch(() => ({ code: 1 }));
    if (code === 0) return python;
  }
  return undefined;
}

main(async () => {
  const { values: options } = parseArgs({
    options: {
      chains: { type: 'string', default: '30' },
      seed: { type: 'string', default: '1' },
      photos: { type: 'string', default: '48' },
      'no-torch': { type: 'boolean' },
    },
  });
  await build('native', 'wasm', 'engine');
  await fetchPeers(['onnxruntime-node', 'onnxruntime-web']);
  const checker = await findOnnxChecker();
  if (!checker) console.log('SKIPPED: no Python with the onnx package, so no checker (Debian: python3-onnx)');
  const ways = [
    { what: 'onnx', format: 'onnx' },
    { what: 'onnx-classifier', format: 'onnx-classifier' },
    { what: 'onnx, web', format: 'onnx', runtime: 'onnxruntime-web' },
    { what: 'onnx-classifier, web', format: 'onnx-classifier', runtime: 'onnxruntime-web' },
    ...(options['no-torch'] ? [] : [{ what: 'torch', format: 'torch' }]),
    { what: 'html', format: 'html' },
  ];
  const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-exports-'));
  let failures = 0;
  const worst = Object.fromEntries(ways.map(({ what }) => [what, 0]));
  let labels = 0;
  let pictures = 0;
  try {
    for await (const { name, file, spec } of exportCases({
      folder,
      chains: Number(options.chains),
      seed: Number(options.seed),
    })) {
      const answers = [];
      for (const { what, format, runtime } of ways) {
        const { parity, problem, out } = await verifyExport({ file, format, runtime, photos: Number(options.photos) });
        if (parity) {
          worst[what] = Math.max(worst[what], parity.largest_difference ?? Infinity);
          labels += parity.label_agreement * parity.pictures;
          pictures += parity.pictures;
        }
        let checked = '';
        if (checker && what === format && format.startsWith('onnx')) {
          const { code, stderr } = await run(checker, [path.join(root, 'tests/interop/check_onnx.py'), out]);
          checked = code === 0 ? ' checked' : ` CHECKER: ${stderr.trim().split('\n').at(-1)}`;
          failures += code === 0 ? 0 : 1;
        }
        failures += problem ? 1 : 0;
        answers.push(`${what} ${problem ?? parity.largest_difference.toExponential(1)}${checked}`);
      }
      console.log(`${name.padEnd(18)} ${answers.join('   ')}`);
      if (answers.some((answer) => /differ|failed|CHECKER/i.test(answer))) console.log(JSON.stringify(spec));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`Largest difference of a probability: ${JSON.stringify(worst)}; ${labels} of ${pictures} labels agree.`);
  if (failures) throw new Failure(`${failures} exports failed`);
});
