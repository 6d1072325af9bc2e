// models/: every network has a card that says how many parameters it has, and the weights that are there get right what their card says,
// natively and in WebAssembly.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { datasetOf, fashionFolder, fashionMnist } from '../fashion_mnist.mjs';
import { lessonSpec, root, runNative, withEngine } from './support.mjs';

const folder = path.join(root, 'models');
const cards = readdirSync(folder)
  .filter((file) => /^[^.]+\.json$/.test(file))
  .map((file) => file.replace('.json', ''));
const cardOf = (name) => readFileSync(path.join(folder, `${name}.md`), 'utf8');

test('every model has a card with its name and its parameters', async () => {
  assert(cards.length >= 9);
  await withEngine({ variant: 'simd' }, async (pinhole) => {
    for (const name of cards) {
      const card = cardOf(name);
      const spec = lessonSpec(name);
      assert(card.startsWith(`# ${spec.name}\n`), name);
      const [, told, count] = /\| parameters \| ([\d,]*\d)(?: with (\w+) classes)?/.exec(card) ?? [];
      const classes = Array.from({ length: { four: 4, ten: 10 }[count] ?? 2 }, (_, i) => `c${i}`);
      const model = await pinhole.createModel(spec, { classes });
      assert.equal(told, model.summary().parameters.toLocaleString('en'), name);
      assert.equal(
        existsSync(path.join(folder, `${name}.recipe.json`)),
        card.includes(`\`${name}.recipe.json\``),
        name,
      );
      await model.dispose();
    }
  });
});

test('fashion_small.safetensors gets of the test images what its card says', async () => {
  const [, told] = /get ([\d.]+) % of the 10,000 test images right/.exec(cardOf('fashion_small'));
  const file = path.join(folder, 'fashion_small.safetensors');
  const native = JSON.parse(await runNative('native_classify', ['--model', file, '--eval', fashionFolder, '--json']));
  assert.equal((100 * native.accuracy).toFixed(2), told);
  await withEngine({ variant: 'simd-threads', threads: 2 }, async (pinhole) => {
    const model = await pinhole.loadModel(new Uint8Array(readFileSync(file)));
    const { accuracy, loss } = await model.evaluate(
      await datasetOf(pinhole, fashionMnist('t10k', 10_000), model.classes),
    );
    // Two answers that are nearly as probable may change places.
    assert(Math.abs(accuracy - native.accuracy) <= 2e-4, `${accuracy}, natively ${native.accuracy}`);
    assert(Math.abs(loss - native.loss) < 1e-5, `${loss}, natively ${native.loss}`);
  });
});
