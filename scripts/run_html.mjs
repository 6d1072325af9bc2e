// Classifies with what is inside an exported HTML file, its model and its engine:  node scripts/run_html.mjs FILE.html < pictures
//
// Pictures come as pictures.mjs has them. Out goes {"runtime", "probabilities": [[...], ...]}. native_export --verify starts it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { readPictures } from './pictures.mjs';

/** What stands between the tags of the script element with these attributes. */
function scriptIn(html, attributes) {
  const start = html.indexOf(`<script ${attributes}>`);
  if (start < 0) throw new Error(`the file has no script ${attributes}`);
  const from = html.indexOf('>', start) + 1;
  return html.slice(from, html.indexOf('</script>', from));
}

/** RGB -> RGBA. */
function opaque(rgb) {
  const rgba = new Uint8Array((rgb.length / 3) * 4).fill(255);
  for (let i = 0; i < rgb.length / 3; ++i) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  return rgba;
}

async function engineIn(html) {
  const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-html-'));
  try {
    // A module that leaves its export in globalThis.createPinhole.
    writeFileSync(path.join(folder, 'engine.mjs'), scriptIn(html, 'type="module"'));
    await import(pathToFileURL(path.join(folder, 'engine.mjs')).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const wasmBinary = Buffer.from(scriptIn(html, 'type="application/base64" id="wasm"'), 'base64');
  return globalThis.createPinhole({ pthreadPoolSize: 0, wasmBinary });
}

try {
  const html = readFileSync(process.argv[2], 'utf8');
  const core = await engineIn(html);
  const file = new Uint8Array(Buffer.from(scriptIn(html, 'type="application/base64" id="model"'), 'base64'));
  const model = core.Model.load(core.Backend.create('auto', 1), file, 'the model');
  const probabilities = [];
  for await (const { dims, data } of readPictures(process.stdin)) {
    const [, height, width] = dims;
    const image = core.Image.fromRgba(opaque(data), width, height);
    probabilities.push(Array.from(model.classify(image)));
    image.delete();
  }
  process.stdout.write(JSON.stringify({ runtime: 'its WebAssembly', probabilities }));
} catch (error) {
  console.error(`run_html: ${error.message}`);
  process.exitCode = 1;
}
