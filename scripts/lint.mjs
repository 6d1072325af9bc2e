// npm run lint: checks layout, style and types of everything; npm run format mends what can be mended by a tool.
// Folders or files can be named (npm run format -- web core/layers); clang-tidy then looks at those alone.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { configure } from './build.mjs';
import { filesBelow, heading, main, root, run, setUp } from './lib.mjs';

const source = ['core', 'native', 'wasm', 'tests'];
const fix = process.argv.includes('--fix');
const named = process.argv.slice(2).filter((argument) => argument !== '--fix');

/** Debian's programs carry their version in the name; elsewhere any version has to do. */
const tool = (name) => (existsSync(`/usr/bin/${name}-19`) ? `${name}-19` : name);
const npx = (program, ...args) => run('npx', ['--no-install', program, ...args]);
const below = (pattern, names) =>
  filesBelow(...names).filter((file) => pattern.test(file) && !file.includes('/golden/'));

async function clangFormat() {
  const files = below(/\.(cpp|h|inc)$/, named.length ? named : source);
  return files.length ? run(tool('clang-format'), [...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...files]) : 0;
}

/** Sees each file once, with the flags of the native build (the gradient tests compile the core a second time). */
async function clangTidy() {
  const files = below(/\.cpp$/, named.length ? named : ['core', 'native']);
  if (files.length === 0) return 0;
  await configure('native');
  const commands = JSON.parse(readFileSync(path.join(root, 'build/native/compile_commands.json'), 'utf8'));
  const once = commands.filter(({ command }) => !command.includes('-DPINHOLE_DOUBLE'));
  mkdirSync(path.join(root, 'build/lint'), { recursive: true });
  writeFileSync(path.join(root, 'build/lint/compile_commands.json'), JSON.stringify(once));
  const patterns = files.map((file) => `^${file.replace(/[.+]/g, '\\$&')}$`);
  const args = ['-p', 'build/lint', '-quiet', '-j', String(os.availableParallelism()), ...patterns];
  const noise = /^\[ *\d+\/\d+\]|^\d+ warnings?|^Suppressed|^clang-tidy|^Use -header-filter|^Running|^$/;
  return run(`run-${tool('clang-tidy')}`, args, {
    onLine: (line) => {
      if (!noise.test(line)) console.log(line);
    },
  });
}

const checks = {
  prettier: () =>
    npx(
      'prettier',
      fix ? '--write' : '--check',
      '--log-level=warn',
      ...(named.length ? ['--ignore-unknown', ...named] : ['.']),
    ),
  eslint: () => npx('eslint', ...(fix ? ['--fix'] : []), ...(named.length ? ['--no-warn-ignored', ...named] : ['.'])),
  'clang-format': clangFormat,
  ...(fix
    ? {}
    : {
        tsc: async () => (await npx('tsc', '-p', '.')) || npx('tsc', '-p', 'web/app'),
        shellcheck: () => run('shellcheck', [...below(/\.sh$/, ['scripts']), path.join(root, '.ci/run')]),
        'clang-tidy': clangTidy,
      }),
};

main(async () => {
  await setUp('native', 'web', 'lint');
  const failed = [];
  for (const [name, check] of Object.entries(checks)) {
    heading(name);
    const start = Date.now();
    if ((await check()) !== 0) failed.push(name);
    console.log(`    ${failed.includes(name) ? 'FAILED' : 'ok'} (${((Date.now() - start) / 1000).toFixed(0)} s)`);
  }
  if (failed.length) console.log(`Failed: ${failed.join(', ')}`);
  return failed.length ? 1 : 0;
});
