// Runs an ONNX file with ONNX Runtime:  node scripts/run_onnx.mjs FILE.onnx < pictures > answers.json
//
// Pictures come on standard input, each as the length of a header (uint32, little-endian), the header as JSON
// ({"type": "uint8" or "float32", "dims": [...]}) and the values. Out goes {"runtime", "probabilities": [[...], ...]}.
// native_export --verify starts it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { modules } from '../tests/bench/peers.mjs';

/** ONNX Runtime of the project, or the one that `npm run export` and the bench keep in the cache. */
function loadRuntime() {
  for (const from of [import.meta.url, path.join(modules, 'here.js')]) {
    const require = createRequire(from);
    try {
      const runtime = require('onnxruntime-node');
      const manifest = path.join(path.dirname(require.resolve('onnxruntime-node')), '../package.json');
      return { ...runtime, version: JSON.parse(readFileSync(manifest, 'utf8')).version };
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error('onnxruntime-node is not installed (npm run export fetches it)');
}

/** The pieces of standard input, cut as asked. */
async function* readPictures(stream) {
  let rest = Buffer.alloc(0);
  const chunks = stream[Symbol.asyncIterator]();
  const take = async (size) => {
    const parts = [rest];
    let have = rest.length;
    while (have < size) {
      const { value, done } = await chunks.next();
      if (done) {
        if (have === 0) return undefined;
        throw new Error('the input ends in the middle of a picture');
      }
      parts.push(value);
      have += value.length;
    }
    const all = Buffer.concat(parts);
    rest = all.subarray(size);
    return all.subarray(0, size);
  };
  for (let length = await take(4); length; length = await take(4)) {
    const { type, dims } = JSON.parse((await take(length.readUInt32LE())).toString());
    const values = dims.reduce((product, size) => product * size, 1);
    const bytes = await take(values * (type === 'float32' ? 4 : 1));
    // A copy: the values must start where their type allows.
    const data =
      type === 'float32'
        ? new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
        : Uint8Array.from(bytes);
    yield { type, dims, data };
  }
}

try {
  const { InferenceSession, Tensor, version } = loadRuntime();
  const session = await InferenceSession.create(process.argv[2], { logSeverityLevel: 3 });
  const [name] = session.inputNames;
  const probabilities = [];
  for await (const { type, dims, data } of readPictures(process.stdin)) {
    const answer = await session.run({ [name]: new Tensor(type, data, dims) });
    probabilities.push(Array.from(answer.probabilities.data));
  }
  process.stdout.write(JSON.stringify({ runtime: `onnxruntime-node ${version}`, probabilities }));
} catch (error) {
  console.error(`run_onnx: ${error.message}`);
  process.exitCode = 1;
}
