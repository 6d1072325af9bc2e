// Prints a model as one HTML file that classifies:  node scripts/export_html.mjs MODEL.safetensors > OUT.html
// native_export --format html starts it, because the engine for browsers is built here; `npm run export` builds that.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Failure, main, root } from './lib.mjs';

main(async () => {
  const model = process.argv[2];
  const engine = path.join(root, 'build/pinhole/index.js');
  if (!existsSync(engine) || !existsSync(path.join(root, 'build/pinhole/wasm/simd/pinhole.wasm')))
    throw new Failure('the engine for browsers is not built; npm run export builds it');
  const { load } = await import(pathToFileURL(engine).href);
  const pinhole = await load({ variant: 'simd' });
  try {
    const loaded = await pinhole.loadModel(new Uint8Array(readFileSync(model)), model);
    process.stdout.write(await loaded.exportHtml());
  } catch (error) {
    throw new Failure(error.message);
  } finally {
    pinhole.dispose();
  }
});
