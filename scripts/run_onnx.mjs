// Runs an ONNX file with ONNX Runtime:  node scripts/run_onnx.mjs FILE.onnx < pictures > answers.json
//
// Pictures come as pictures.mjs has them. Out goes {"runtime", "probabilities": [[...], ...]}. native_export --verify starts it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { modules } from '../tests/bench/peers.mjs';
import { readPictures } from './pictures.mjs';

/** ONNX Runtime for Node, or the one for browsers, whose WebAssembly runs here too. */
const name = process.env.PINHOLE_ONNX_RUNTIME ?? 'onnxruntime-node';

/** That of the project, or the one that `npm run export` and the bench keep in the cache. */
function loadRuntime() {
  for (const from of [import.meta.url, path.join(modules, 'here.js')]) {
    const require = createRequire(from);
    try {
      const runtime = require(name);
      const manifest = path.join(path.dirname(require.resolve(name)), '../package.json');
      if (runtime.env?.wasm) runtime.env.wasm.numThreads = 1;
      return { ...runtime, version: JSON.parse(readFileSync(manifest, 'utf8')).version };
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error(`${name} is not installed (npm run export fetches onnxruntime-node)`);
}

try {
  const { InferenceSession, Tensor, version } = loadRuntime();
  const session = await InferenceSession.create(new Uint8Array(readFileSync(process.argv[2])), { logSeverityLevel: 3 });
  const [input] = session.inputNames;
  const probabilities = [];
  for await (const { type, dims, data } of readPictures(process.stdin)) {
    const answer = await session.run({ [input]: new Tensor(type, data, dims) });
    probabilities.push(Array.from(answer.probabilities.data));
  }
  process.stdout.write(JSON.stringify({ runtime: `${name} ${version}`, probabilities }));
} catch (error) {
  console.error(`run_onnx: ${error.message}`);
  process.exitCode = 1;
}
