// Models to export: those of models/ and random chains of every layer there is, each trained for a moment, so that its answers
// differ from picture to picture.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { lessonSpec, load, nativeFolder, photoFolder, photos, random, root, run } from '../wasm/support.mjs';

const classes = ['fishes', 'monuments', 'renewable', 'tools'];

/** A network of random layers with an input of about 30 x 30. */
export function randomChain(seed) {
  const next = random(seed * 2654435761);
  next();
  const whole = (least, most) => least + Math.floor(next() * (most - least + 1));
  const chance = (part) => next() < part;
  const pick = (list) => list[whole(0, list.length - 1)];
  /** One size for both directions, or two. */
  const pair = (make) => (chance(0.7) ? make() : [make(), make()]);
  const both = (value) => (Array.isArray(value) ? value : [value, value]);

  let [h, w, c] = [whole(20, 40), whole(20, 40), pick([1, 3])];
  const input = [h, w, c];
  const layers = [];
  const add = (layer) =>
    layers.push(chance(0.6) ? { ...layer, name: `${layer.type.toLowerCase()}_${layers.length}` } : layer);
  const windowed = (layer) => {
    const [kh, kw] = both(layer.kernel_size);
    const [sh, sw] = both(layer.stride ?? layer.kernel_size);
    const [ph, pw] = both(layer.padding ?? 0);
    const [dh, dw] = both(layer.dilation ?? 1);
    const height = Math.floor((h + 2 * ph - dh * (kh - 1) - 1) / sh) + 1;
    const width = Math.floor((w + 2 * pw - dw * (kw - 1) - 1) / sw) + 1;
    if (height < 1 || width < 1) return false;
    [h, w] = [height, width];
    add(layer);
    return true;
  };
  const makers = {
    Conv2d: () => {
      const groups = pick([1, 1, 1, c]);
      const layer = {
        type: 'Conv2d',
        out_channels: groups * whole(1, groups === 1 ? 12 : 2),
        kernel_size: pair(() => pick([1, 2, 3, 5])),
        ...(chance(0.4) && { stride: pair(() => whole(1, 3)) }),
        ...(chance(0.6) && { padding: pair(() => whole(0, 2)) }),
        ...(chance(0.2) && { dilation: pair(() => whole(1, 2)) }),
        ...(groups > 1 && { groups }),
        ...(chance(0.2) && { bias: false }),
      };
      if (windowed(layer)) c = layer.out_channels;
    },
    MaxPool2d: () =>
      windowed({
        type: 'MaxPool2d',
        kernel_size: pair(() => whole(2, 3)),
        ...(chance(0.3) && { stride: whole(1, 2) }),
        ...(chance(0.3) && { padding: 1 }),
      }),
    AvgPool2d: () =>
      windowed({
        type: 'AvgPool2d',
        kernel_size: pair(() => whole(2, 3)),
        ...(chance(0.3) && { stride: whole(1, 2) }),
        ...(chance(0.3) && { padding: 1 }),
      }),
    SamePadding: () => {
      const layer = {
        type: 'Conv2d',
        out_channels: whole(2, 8),
        kernel_size: pair(() => whole(1, 4)),
        stride: pick([1, 1, 2, 3]),
        padding: 'same',
      };
      add(layer);
      [h, w, c] = [Math.ceil(h / layer.stride), Math.ceil(w / layer.stride), layer.out_channels];
    },
    BatchNorm2d: () =>
      add({ type: 'BatchNorm2d', ...(chance(0.3) && { affine: false }), ...(chance(0.3) && { eps: 1e-3 }) }),
    Residual: () => {
      const channels = chance(0.5) ? c : whole(2, 8);
      const stride = channels === c ? 1 : pick([1, 2]);
      const conv = { type: 'Conv2d', kernel_size: 3, padding: 1 };
      add({
        type: 'Residual',
        body: [
          { ...conv, name: 'conv1', out_channels: channels, stride, bias: false },
          { type: 'BatchNorm2d', name: 'bn1' },
          pick([{ type: 'ReLU' }, { type: 'ReLU6' }, { type: 'SiLU' }]),
          { ...conv, name: 'conv2', out_channels: channels },
          ...(chance(0.3)
            ? [{ type: 'Residual', name: 'inner', body: [{ ...conv, out_channels: channels }, { type: 'Hardswish' }] }]
            : []),
          { type: 'BatchNorm2d', name: 'bn2' },
          ...(chance(0.3) ? [{ type: 'SqueezeExcite', name: 'se', squeeze_channels: 2 }] : []),
        ],
        ...(channels !== c && {
          shortcut: [{ type: 'Conv2d', out_channels: channels, kernel_size: 1, stride }, { type: 'BatchNorm2d' }],
        }),
      });
      [h, w, c] = [Math.ceil(h / stride), Math.ceil(w / stride), channels];
    },
    SqueezeExcite: () => add({ type: 'SqueezeExcite', squeeze_channels: whole(1, 6) }),
    HorizontalFlipTTA: () => {
      const channels = whole(2, 8);
      const stride = pick([1, 2]);
      const conv = { type: 'Conv2d', out_channels: channels, kernel_size: 3, padding: 1, stride };
      add({ type: 'HorizontalFlipTTA', body: [conv, pick([{ type: 'BatchNorm2d' }, { type: 'ReLU' }])] });
      [h, w, c] = [Math.ceil(h / stride), Math.ceil(w / stride), channels];
    },
    ReLU6: () => add({ type: 'ReLU6' }),
    SiLU: () => add({ type: 'SiLU' }),
    Hardswish: () => add({ type: 'Hardswish' }),
    ReLU: () => add({ type: 'ReLU' }),
    Sigmoid: () => add({ type: 'Sigmoid' }),
    Softmax: () => add({ type: 'Softmax' }),
    Dropout: () => add({ type: 'Dropout', p: 0.25 }),
  };
  if (chance(0.3))
    add({ type: 'Normalize', mean: Array(c).fill(0.45), std: Array.from({ length: c }, () => 0.2 + 0.1 * next()) });
  for (let count = whole(2, 8); count > 0; --count) pick([makers.Conv2d, makers.Conv2d, ...Object.values(makers)])();
  if (chance(0.4)) {
    add({ type: 'AdaptiveAvgPool2d', output_size: 1 });
    [h, w] = [1, 1];
  }
  if (h > 1 || w > 1 || chance(0.5)) add({ type: 'Flatten' });
  if (chance(0.5)) {
    add({ type: 'Linear', out_features: whole(4, 40) });
    add(pick([{ type: 'ReLU' }, { type: 'Dropout' }, { type: 'Sigmoid' }, { type: 'SiLU' }]));
  }
  const binary = chance(0.3);
  add({ type: 'Linear', out_features: binary ? 1 : 'classes', ...(chance(0.2) && { bias: false }) });
  if (chance(0.7)) add({ type: binary ? 'Sigmoid' : 'Softmax' });
  const crop = next() < 0.4 ? { crop: 'center' } : {};
  return { spec: { format: 'pinhole/1', name: `Chain${seed}`, input, ...crop, layers }, binary };
}

/** Trains each model for a moment and saves it in `folder`: {name, file, spec}. `models`: names in models/, all when not given. */
export async function* exportCases({ folder, chains, seed, models = undefined, pictures = 6, epochs = 3 }) {
  const cases = [];
  const all = readdirSync(path.join(root, 'models')).filter((file) => /^[^.]+\.json$/.test(file));
  for (const name of models ?? all.map((file) => file.replace('.json', '')))
    cases.push({ name, spec: lessonSpec(name), small: false });
  for (let i = 0; i < chains; ++i) {
    const { spec, binary } = randomChain(seed + i);
    cases.push({ name: `chain ${seed + i}`, spec, binary, small: true });
  }
  const pinhole = await load({ variant: 'simd' });
  try {
    for (const { name, spec, binary = /binary/.test(name), small } of cases) {
      const these = binary ? classes.slice(0, 2) : classes;
      const pretrained = spec.pretrained && readFileSync(path.join(root, 'models', `${spec.pretrained}.safetensors`));
      const model = await pinhole.createModel(spec, { classes: these, seed: 5, ...(pretrained && { pretrained }) });
      const data = await pinhole.createDataset({ classes: these, input: spec.input, crop: spec.crop });
      const items = photos(these, pictures).map(({ bytes, label, name: file }) => ({
        image: bytes,
        label,
        name: file,
      }));
      await data.addMany(items);
      await model.train(data, { epochs, batchSize: 4, lr: small ? 0.02 : 1e-3 });
      const file = path.join(folder, `${name.replace(' ', '_')}.safetensors`);
      writeFileSync(file, await model.save());
      yield { name, file, spec, model };
      await model.dispose();
      await data.dispose();
      rmSync(file);
    }
  } finally {
    pinhole.dispose();
  }
}

/** Exports with native_export --verify: what parity.json says, or what went wrong. `runtime`: of ONNX. */
export async function verifyExport({ file, format, photos: most, runtime = 'onnxruntime-node' }) {
  const out = file.replace('.safetensors', format === 'torch' ? '.py' : `.${format}`);
  const { code, stderr } = await run(
    path.join(nativeFolder, 'native_export'),
    ['--model', file, '--format', format, '--out', out, '--verify', photoFolder, '--pictures', String(most)],
    { env: { ...process.env, PINHOLE_ONNX_RUNTIME: runtime } },
  );
  const parityFile = path.join(path.dirname(out), 'parity.json');
  let parity;
  try {
    parity = JSON.parse(readFileSync(parityFile, 'utf8'))[path.basename(out)];
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  rmSync(parityFile, { force: true });
  const problem = code === 0 ? undefined : stderr.trim() || `the probabilities differ by ${parity?.largest_difference}`;
  return { parity, problem, out };
}
