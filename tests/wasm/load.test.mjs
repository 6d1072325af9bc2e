// load(): which build is taken, what a wrong wish gives, and that an engine keeps nothing alive that it should not.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { load, packageFolder, png, runScript, variants, withEngine } from './support.mjs';

const major = Number(process.versions.node.split('.')[0]);
const relaxedFlag = major <= 20 ? ['--experimental-wasm-relaxed-simd'] : [];
const printInfo = 'const p = await load(); print(p.info);';

test('load takes the build with threads and relaxed SIMD where Node has both', async () => {
  const info = await runScript(printInfo, { flags: relaxedFlag });
  assert.equal(info.variant, 'relaxed-threads');
  assert.equal(info.threads, Math.min(16, availableParallelism()));
});

test(
  'load takes plain SIMD with threads where Node 20 has no relaxed SIMD, and says why it cannot be forced',
  { skip: major > 20 && 'this Node always has relaxed SIMD' },
  async () => {
    assert.equal((await runScript(printInfo)).variant, 'simd-threads');
    const message = await runScript("await load({ variant: 'relaxed-threads' }).catch((e) => print(e.message));");
    assert.equal(
      message,
      "this browser or Node cannot run the variant 'relaxed-threads', only simd-threads, simd (threads need a cross-origin isolated page)",
    );
  },
);

for (const variant of variants) {
  test(`the ${variant} build loads, names itself and its backends, and can be told which kernels to run`, async () => {
    const threads = variant === 'simd' ? 1 : 2;
    await withEngine({ variant, threads }, (pinhole) => {
      assert.equal(pinhole.variant, variant);
      assert.equal(pinhole.threads, threads);
      assert.deepEqual([...pinhole.info.backends].sort(), ['reference', 'simd', 'xnnpack']);
      assert.match(pinhole.description, new RegExp(`${threads} thread`));
    });
    for (const backend of ['reference', 'simd', 'xnnpack']) {
      await withEngine({ variant, threads, backend }, (pinhole) => {
        assert.equal(pinhole.info.backend, backend);
      });
    }
  });
}

test('a wrong wish is an Error that says what there is', async () => {
  await assert.rejects(load({ variant: 'wide' }), {
    name: 'Error',
    message: "unknown variant 'wide': there are simd, simd-threads, relaxed-threads",
  });
  await assert.rejects(load({ variant: 'simd', backend: 'abacus' }), /abacus.*reference.*simd.*xnnpack/);
  await assert.rejects(load({ threads: 0 }), /threads expected a whole number of 1 or more, got 0/);
  await assert.rejects(load({ threads: 1.5 }), /threads expected a whole number/);
  await assert.rejects(load({ wasmUrl: '/nowhere/at/all' }), /cannot load the engine: file:\/\/\/nowhere\/at\/all\//);
});

test('an image of more pixels than allowed is refused by its size, and the engine goes on', async () => {
  await withEngine({ variant: 'simd', maxPixels: 12 }, async (pinhole) => {
    const red = () => [255, 0, 0];
    await assert.rejects(pinhole.decode(png(4, 4, red), [2, 2, 3]), {
      message: 'the image is too large: 4x4 pixels, at most 12 are allowed',
    });
    const { data, ...sizes } = await pinhole.decode(png(4, 3, red), [2, 2, 3]);
    assert.equal(data[0], 255);
    assert.deepEqual(sizes, { height: 2, width: 2, channels: 3, imageHeight: 3, imageWidth: 4 });
  });
  await assert.rejects(
    load({ variant: 'simd', maxPixels: 0 }),
    /maxPixels expected a whole number of 1 or more, got 0/,
  );
});

test('where the build with threads cannot be loaded, the plain one is', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-load-test-'));
  try {
    cpSync(path.join(packageFolder, 'wasm/simd'), path.join(folder, 'simd'), { recursive: true });
    await withEngine({ wasmUrl: folder }, (pinhole) => {
      assert.equal(pinhole.variant, 'simd');
      assert.equal(pinhole.threads, 1);
    });
    await assert.rejects(load({ wasmUrl: folder, variant: 'simd-threads' }), /cannot load the engine: .*simd-threads/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('after a crash inside the core every call says so: its memory is not to be trusted', async () => {
  // A core that traps as soon as it is asked for something.
  const folder = mkdtempSync(path.join(tmpdir(), 'pinhole-load-test-'));
  mkdirSync(path.join(folder, 'simd'));
  writeFileSync(
    path.join(folder, 'simd/pinhole.mjs'),
    `const backend = { name: () => 'stub', description: () => 'stub', threads: () => 1 };
    export default async () => ({
      backendNames: () => ['stub'],
      Backend: { create: () => backend },
      bytesInUse: () => { throw new WebAssembly.RuntimeError('unreachable'); },
      ImageDataset: { create: () => ({ size: () => 0 }) },
    });`,
  );
  try {
    await withEngine({ wasmUrl: folder, variant: 'simd' }, async (pinhole) => {
      const options = { classes: ['a', 'b'], input: [4, 4, 3] };
      await pinhole.createDataset(options);
      const crashed = { message: 'the engine has crashed (unreachable); load it again' };
      await assert.rejects(pinhole.memory(), crashed);
      await assert.rejects(pinhole.createDataset(options), crashed);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a script that forgets to dispose of its engine still ends', async () => {
  const memory = await runScript(
    "const p = await load({ threads: 2 }); await p.createDataset({ classes: ['a', 'b'], input: [4, 4, 3] }); print(await p.memory());",
    { timeout: 30_000 },
  );
  assert.equal(memory.datasets, 1);
});

test('after dispose every call fails with one sentence, those under way too', async () => {
  const pinhole = await load({ variant: 'simd' });
  const underWay = pinhole.memory();
  pinhole.dispose();
  const stopped = { message: 'the engine has stopped: this engine was disposed' };
  await assert.rejects(underWay, stopped);
  await assert.rejects(pinhole.memory(), stopped);
});

test('two engines live side by side', async () => {
  await withEngine({ variant: 'simd' }, (first) =>
    withEngine({ variant: 'simd' }, async (second) => {
      await first.createDataset({ classes: ['a', 'b'], input: [4, 4, 3] });
      assert.equal((await first.memory()).datasets, 1);
      assert.equal((await second.memory()).datasets, 0);
    }),
  );
});
