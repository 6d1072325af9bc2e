// npm run export -- ARGS: native_export, followed by its proof. Without --verify the sample photos are compared; --no-verify
// leaves that out. Relative paths mean what they mean where npm was called.
import path from 'node:path';
import { build, buildNative } from './build.mjs';
import { main, root, run, setUp } from './lib.mjs';
import { fetchPeers } from '../tests/bench/peers.mjs';

main(async () => {
  const args = process.argv.slice(2).filter((argument) => argument !== '--no-verify');
  const has = (name) => args.some((argument) => argument === name || argument.startsWith(`${name}=`));
  const asks = ['--help', '-h', '--version'].some(has);
  if (!asks && !has('--verify') && args.length === process.argv.length - 2)
    args.push('--verify', path.join(root, 'web/public/samples/photos'));
  const isHtml = args.some((argument) => /^(--format=)?html$/.test(argument));
  await setUp('native', ...(isHtml ? ['wasm', 'web'] : []));
  await buildNative();
  if (isHtml) await build('wasm', 'engine');
  if (has('--verify') && args.some((argument) => /^(--format=)?onnx(-classifier)?$/.test(argument)))
    await fetchPeers(['onnxruntime-node']);
  return run(path.join(root, 'build/native/native/native_export'), args, { cwd: process.env.INIT_CWD ?? root });
});
