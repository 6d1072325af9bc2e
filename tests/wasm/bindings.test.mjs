// web/engine/core.ts types the WebAssembly module by hand; Embind says what the module really is. The two must agree.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { root, run } from './support.mjs';

const generated = process.env.PINHOLE_EMBIND_TYPES ?? path.join(root, 'build/wasm-simd/wasm/pinhole.d.ts');

test('the hand-written types of the module are those that Embind gives', async () => {
  assert.ok(
    existsSync(generated),
    `${generated} is missing: the wasm-simd build writes it when it finds TypeScript's compiler`,
  );
  const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-types-'));
  try {
    // Embind thinks that every pointer may be null; apart from that, both must fit both ways.
    writeFileSync(
      path.join(folder, 'check.ts'),
      `
      import type { MainModule } from ${JSON.stringify(generated.replace(/\.d\.ts$/, ''))};
      import type { Core } from ${JSON.stringify(path.join(root, 'web/engine/core'))};
      type Strict<T> =
        T extends (...args: infer A) => infer R ? (...args: { [I in keyof A]: Strict<NonNullable<A[I]>> }) => Strict<NonNullable<R>>
        : T extends ArrayBufferView | ArrayBuffer | string | number | boolean | undefined ? T
        : { [K in keyof T]: Strict<T[K]> };
      type Runtime = 'HEAPF32' | 'HEAPF64' | 'HEAP_DATA_VIEW' | 'HEAP8' | 'HEAPU8' | 'HEAP16' | 'HEAPU16' | 'HEAP32' | 'HEAPU32' | 'HEAP64' | 'HEAPU64';
      type Real = Strict<Omit<MainModule, Runtime>>;
      type Written = Strict<Core>;
      declare const real: Real, written: Written;
      export const a: Written = real;
      export const b: Real = written;
    `,
    );
    writeFileSync(
      path.join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          noEmit: true,
          strict: true,
          target: 'es2022',
          module: 'esnext',
          moduleResolution: 'bundler',
          types: [],
          skipLibCheck: true,
        },
        files: ['check.ts'],
      }),
    );
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
    const { code, stdout } = await run(process.execPath, [tsc, '-p', folder]);
    assert.equal(code, 0, stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
