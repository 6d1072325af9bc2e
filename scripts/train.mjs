// npm run train -- ARGS and npm run classify -- ARGS: builds native_train or native_classify if needed, then runs it in the
// folder where npm was called, so that relative paths mean what the user typed.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { build } from './build.mjs';
import { main, root, setUp } from './lib.mjs';

main(async () => {
  const [program, ...args] = process.argv.slice(2);
  await setUp('native');
  await build('native');
  const child = spawn(path.join(root, 'build/native/native', program), args, {
    cwd: process.env.INIT_CWD,
    stdio: 'inherit',
  });
  // Ctrl-C reaches the program too: it stops after its step and saves, and we wait for that.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(signal ? 1 : status));
  });
});
