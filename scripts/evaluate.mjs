// npm run evaluate: what the models learn from ten images a class, beside a colour histogram: balanced accuracy on the images that
// are left, over ten seeded splits, written into models/README.md between two marks. Nothing here was chosen by these numbers.
//   npm run evaluate -- [--splits 10] [--images 10] [--only MODEL] [--no-write]
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { build } from './build.mjs';
import { Failure, heading, main, root, setUp } from './lib.mjs';

const work = path.join(root, 'build/evaluate');
const fashion = '/usr/share/datasets/fashion-mnist';
const trainer = path.join(root, 'build/native/native/native_train');

/** Each trains for about as long as it takes until more does not help the training part; see models/README.md. */
const trained = [
  { name: 'lesson CNN', model: 'multiclass_cnn', args: ['--epochs', '15'] },
  { name: 'pinhole_small', model: 'pinhole_small', args: [] }, // models/pinhole_small.recipe.json
  { name: 'pinhole_medium', model: 'pinhole_medium', args: [] }, // models/pinhole_medium.recipe.json
  { name: 'transfer', model: 'transfer', args: [] }, // models/transfer.recipe.json
  { name: 'fine_tune', model: 'fine_tune', args: [] }, // models/fine_tune.recipe.json
];

/** mulberry32: the same splits on every machine. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(list, next) {
  const out = [...list];
  for (let i = out.length - 1; i > 0; --i) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

/** A folder of images, one folder a class: {title, folder}. */
function photoSet() {
  return { title: 'sample photos', folder: path.join(root, 'web/public/samples/photos') };
}

/** The first 150 test images of each class of Fashion-MNIST as image files; undefined where the package is not installed. */
function fashionSet() {
  if (!existsSync(path.join(fashion, 't10k-images-idx3-ubyte.gz'))) return undefined;
  const folder = path.join(work, 'fashion-mnist');
  const read = (name) => gunzipSync(readFileSync(path.join(fashion, name)));
  const images = read('t10k-images-idx3-ubyte.gz');
  const labels = read('t10k-labels-idx1-ubyte.gz');
  const counts = {};
  for (let i = 0; i < labels.length - 8; ++i) {
    const label = labels[8 + i];
    counts[label] = (counts[label] ?? 0) + 1;
    if (counts[label] > 150) continue;
    const of = path.join(folder, `class${label}`);
    mkdirSync(of, { recursive: true });
    const pixels = images.subarray(16 + i * 784, 16 + (i + 1) * 784);
    writeFileSync(path.join(of, `${i}.pgm`), Buffer.concat([Buffer.from('P5\n28 28\n255\n'), pixels]));
  }
  return { title: 'Fashion-MNIST, 150 a class', folder };
}

const classesOf = (folder) =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();

/** {train, test}: {class: file names}. */
function split(folder, perClass, seed) {
  const next = random(seed + 1);
  const parts = { train: {}, test: {} };
  for (const name of classesOf(folder)) {
    const files = shuffled(readdirSync(path.join(folder, name)).sort(), next);
    parts.train[name] = files.slice(0, perClass);
    parts.test[name] = files.slice(perClass);
  }
  return parts;
}

function linkSplit(folder, parts, target) {
  rmSync(target, { recursive: true, force: true });
  for (const [part, byClass] of Object.entries(parts)) {
    for (const [name, files] of Object.entries(byClass)) {
      const to = path.join(target, part, name);
      mkdirSync(to, { recursive: true });
      for (const file of files) symlinkSync(path.join(folder, name, file), path.join(to, file));
    }
  }
}

/** Balanced accuracy: the mean of the classes' recalls. */
function trainAndScore({ model, args }, target, seed) {
  execFileSync(
    trainer,
    ['--data', `${target}/train`, '--val-split', '0', '--model', model, '--seed', String(seed), ...args].concat([
      '--out',
      `${target}/model.safetensors`,
    ]),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const report = JSON.parse(
    execFileSync(
      path.join(root, 'build/native/native/native_classify'),
      ['--model', `${target}/model.safetensors`, '--eval', `${target}/test`, '--json'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    ),
  );
  const recalls = report.confusion.map((row, label) => row[label] / row.reduce((a, b) => a + b, 0));
  return mean(recalls);
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values) => {
  const m = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0) / Math.max(1, values.length - 1));
};

/** 4 x 4 x 4 colours, roots of their shares, so that the distance is Hellinger's. */
function histogram(pixels, channels) {
  const bins = new Float64Array(64);
  for (let i = 0; i < pixels.length; i += channels) {
    const at = (c) => pixels[i + Math.min(c, channels - 1)] >> 6;
    bins[at(0) * 16 + at(1) * 4 + at(2)] += channels / pixels.length;
  }
  return bins.map(Math.sqrt);
}

async function histograms(pinhole, folder) {
  const of = {};
  for (const name of classesOf(folder)) {
    const data = await pinhole.createDataset({ classes: [name, 'other'], input: [64, 64, 3] });
    const files = readdirSync(path.join(folder, name)).sort();
    await data.addMany(
      files.map((file) => ({ image: readFileSync(path.join(folder, name, file)), label: 0, name: file })),
    );
    const entries = await data.entries();
    for (const [i, entry] of entries.entries()) of[`${name}/${entry.name}`] = histogram((await data.pixels(i)).data, 3);
    await data.dispose();
  }
  return of;
}

/** The class whose mean histogram is nearest. */
function scoreHistograms(of, parts) {
  const names = Object.keys(parts.train);
  const means = names.map((name) => {
    const all = parts.train[name].map((file) => of[`${name}/${file}`]);
    return all[0].map((_, bin) => mean(all.map((h) => h[bin])));
  });
  const nearest = (h) => {
    const distances = means.map((m) => m.reduce((sum, v, bin) => sum + (v - h[bin]) ** 2, 0));
    return distances.indexOf(Math.min(...distances));
  };
  return mean(
    names.map((name, label) => mean(parts.test[name].map((file) => +(nearest(of[`${name}/${file}`]) === label)))),
  );
}

/** `kept`: {name: row} for models that were not measured this time. */
function tableOf(rows, titles, kept, { splits, images }) {
  const cell = (values) => (values ? `${mean(values).toFixed(3)} ± ${deviation(values).toFixed(3)}` : '');
  const lines = [
    `Balanced accuracy with ${images} images a class to learn from, tested on all others: mean and standard deviation over ${splits} seeded splits`,
    '(`npm run evaluate` makes this table).',
    '',
    `| model | ${titles.join(' | ')} |`,
    `| --- |${' --- |'.repeat(titles.length)}`,
    ...['colour histogram', ...trained.map(({ name }) => name)].flatMap((name) => {
      if (!rows[name]) return kept[name] ?? [];
      return `| ${name} | ${titles.map((title) => cell(rows[name][title])).join(' | ')} |`;
    }),
  ];
  return lines.join('\n');
}

main(async () => {
  const { values } = parseArgs({
    options: {
      splits: { type: 'string', default: '10' },
      images: { type: 'string', default: '10' },
      only: { type: 'string' },
      'no-write': { type: 'boolean' },
    },
  });
  const [splits, images] = [Number(values.splits), Number(values.images)];
  if (!(splits >= 1) || !(images >= 1)) throw new Failure('--splits and --images expected whole numbers from 1');
  const { only } = values;
  const measured = only === undefined ? trained : trained.filter(({ name }) => name === only);
  if (measured.length === 0)
    throw new Failure(`--only expected one of ${trained.map(({ name }) => name).join(', ')}, got ${only}`);
  // The other rows stay, so they have to be means of the same splits.
  if (only !== undefined && !values['no-write'] && (splits !== 10 || images !== 10))
    throw new Failure('--only changes one row of a table of 10 splits with 10 images');
  await setUp('native', 'wasm', 'web');
  await build('native', 'wasm', 'engine');
  const { load } = await import(path.join(root, 'build/pinhole/index.js'));
  const pinhole = await load();
  const names = [...(only === undefined ? ['colour histogram'] : []), ...measured.map(({ name }) => name)];
  const rows = Object.fromEntries(names.map((name) => [name, {}]));
  const sets = [photoSet(), fashionSet()].filter(Boolean);
  for (const { title, folder } of sets) {
    heading(title);
    const of = only === undefined && (await histograms(pinhole, folder));
    for (let seed = 0; seed < splits; ++seed) {
      const parts = split(folder, images, seed);
      const target = path.join(work, 'split');
      linkSplit(folder, parts, target);
      const scores = of ? { 'colour histogram': scoreHistograms(of, parts) } : {};
      for (const model of measured) scores[model.name] = trainAndScore(model, target, seed);
      for (const [name, score] of Object.entries(scores)) (rows[name][title] ??= []).push(score);
      console.log(
        `    split ${seed}: ${Object.entries(scores)
          .map(([name, score]) => `${name} ${score.toFixed(3)}`)
          .join(', ')}`,
      );
    }
  }
  pinhole.dispose();
  const file = path.join(root, 'models/README.md');
  const text = readFileSync(file, 'utf8');
  const marks = ['<!-- evaluation -->', '<!-- end of evaluation -->'];
  const [begin, end] = marks.map((mark) => text.indexOf(mark));
  if (begin < 0 || end < begin)
    throw new Failure(`models/README.md has no place for the table (${marks.join(' ... ')})`);
  const kept = Object.fromEntries(
    text
      .slice(begin, end)
      .split('\n')
      .map((line) => [/^\| ([^|]+) \|/.exec(line)?.[1], line]),
  );
  const table = tableOf(
    rows,
    sets.map(({ title }) => title),
    kept,
    { splits, images },
  );
  console.log(table);
  if (values['no-write']) return;
  writeFileSync(file, `${text.slice(0, begin + marks[0].length)}\n${table}\n${text.slice(end)}`);
});
