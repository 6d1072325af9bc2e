// Seed inputs for the fuzz targets, from the tests' own files and from small ones made here: writeSeeds(FOLDER) fills
// FOLDER/image, FOLDER/safetensors, FOLDER/spec, FOLDER/recipe, FOLDER/idx and the dictionary FOLDER/json.dict.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../../scripts/lib.mjs';

const largest = 64 * 1024;

const spec = (layers, input = [6, 6, 3]) => ({ format: 'pinhole/1', name: 'Seed', input, layers });
const head = [
  { type: 'AdaptiveAvgPool2d', output_size: 1 },
  { type: 'Flatten' },
  { type: 'Linear', name: 'fc', out_features: 'classes' },
];
const conv = {
  type: 'Conv2d',
  out_channels: 4,
  kernel_size: [3, 2],
  stride: 2,
  padding: 1,
  dilation: 1,
  groups: 1,
  bias: false,
};
const specs = {
  plain: spec([
    conv,
    { type: 'ReLU' },
    { type: 'MaxPool2d', kernel_size: 2, padding: 1 },
    ...head,
    { type: 'Softmax', dim: 1 },
  ]),
  binary: spec([{ type: 'Flatten' }, { type: 'Linear', out_features: 1 }, { type: 'Sigmoid' }]),
  modern: spec([
    { type: 'Normalize', mean: [0.5], std: [0.25] },
    { ...conv, padding: 'same' },
    { type: 'BatchNorm2d', eps: 0.001, momentum: 0.1, affine: true },
    {
      type: 'Residual',
      name: 'block',
      body: [{ type: 'Conv2d', out_channels: 4, kernel_size: 1 }, { type: 'SiLU' }],
      shortcut: [{ type: 'Conv2d', out_channels: 4, kernel_size: 1 }],
    },
    { type: 'HorizontalFlipTTA', body: [{ type: 'SqueezeExcite', squeeze_channels: 2 }] },
    { type: 'ReLU6' },
    { type: 'Hardswish' },
    { type: 'Dropout', p: 0.2 },
    { type: 'AvgPool2d', kernel_size: 2 },
    ...head,
  ]),
};

const recipes = {
  plain: {
    epochs: 3,
    batch_size: 8,
    optimizer: { name: 'sgd', lr: 0.1, weight_decay: 0.01, momentum: 0.9, nesterov: true },
    schedule: { type: 'step', step_size: 2, gamma: 0.5, warmup_epochs: 1, warmup_start: 0.1 },
    label_smoothing: 0.1,
    class_weights: [1, 2.5],
    seed: 7,
    shuffle: false,
    keep: 'best',
  },
  augmented: {
    optimizer: { name: 'adamw', beta1: 0.9, beta2: 0.99, eps: 1e-7 },
    schedule: { type: 'one_cycle', pct_start: 0.3, div_factor: 25, final_div_factor: 1e4 },
    class_weights: 'balanced',
    clip_grad_norm: 1,
    ema_decay: 0.99,
    patience: 3,
    augment: [
      { type: 'RandomHorizontalFlip', p: 0.5 },
      { type: 'RandomCrop', padding: 4, padding_mode: 'reflect' },
      { type: 'RandomResizedCrop', scale: [0.5, 1], ratio: [0.75, 1.333] },
      {
        type: 'RandomAffine',
        degrees: 10,
        translate: [0.1, 0.1],
        scale: [0.9, 1.1],
        shear: 5,
        interpolation: 'bilinear',
      },
      { type: 'ColorJitter', brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.05 },
      { type: 'RandomErasing', p: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3], value: 0 },
    ],
  },
  cosine: { schedule: { type: 'cosine', eta_min: 0.001 }, keep: 'last', class_weights: null },
};

/** The bytes of a safetensors file: {name: shape}, filled with small numbers. */
function safetensors(tensors, metadata, dtype = 'F32') {
  const width = dtype === 'F32' ? 4 : 2;
  let offset = 0;
  const header = metadata ? { __metadata__: metadata } : {};
  for (const [name, shape] of Object.entries(tensors)) {
    const end = offset + width * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([size, json, Buffer.alloc(offset, 1)]);
}

function idx(magic, sizes, data) {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  [magic, ...sizes].forEach((value, i) => header.writeUInt32BE(value, 4 * i));
  return Buffer.concat([header, Buffer.from(data)]);
}

export function writeSeeds(folder) {
  const into = (target) => {
    const where = path.join(folder, target);
    mkdirSync(where, { recursive: true });
    return (name, bytes) => writeFileSync(path.join(where, name), bytes);
  };

  const images = path.join(root, 'tests/golden/images');
  into('image');
  for (const name of readdirSync(images)) {
    const file = path.join(images, name);
    if (!name.endsWith('.raw') && statSync(file).size <= largest) copyFileSync(file, path.join(folder, 'image', name));
  }

  const writeSpec = into('spec');
  for (const [name, json] of Object.entries(specs)) writeSpec(name, JSON.stringify(json));
  const writeRecipe = into('recipe');
  for (const [name, json] of Object.entries(recipes)) writeRecipe(name, JSON.stringify(json));
  for (const name of readdirSync(path.join(root, 'models')).filter((file) => file.endsWith('.json')))
    (name.endsWith('.recipe.json') ? writeRecipe : writeSpec)(name, readFileSync(path.join(root, 'models', name)));

  const writeSafetensors = into('safetensors');
  const metadata = (json) => ({
    checksum: '00000000',
    classes: '["a","b"]',
    format: 'pinhole/1',
    spec: JSON.stringify(json),
    training: '{"history":[]}',
  });
  writeSafetensors('binary', safetensors({ '1.bias': [1], '1.weight': [1, 108] }, metadata(specs.binary)));
  writeSafetensors('half', safetensors({ x: [2, 3], y: [4] }, undefined, 'F16'));
  writeSafetensors('brain', safetensors({ x: [0, 3], y: [] }, { note: 'one' }, 'BF16'));
  writeSafetensors(
    'state_dict',
    safetensors({ 'conv1.weight': [2, 3, 3, 3], 'conv1.bias': [2], 'fc.weight': [2, 8], 'fc.bias': [2] }),
  );

  const writeIdx = into('idx');
  const pair = (imageFile, labelFile) => {
    // The images' file is padded to a multiple of four by its own size here, so that the first byte can say where it ends.
    return Buffer.concat([Buffer.from([imageFile.length / 4]), imageFile, labelFile]);
  };
  writeIdx('plain', pair(idx(0x803, [3, 2, 2], Array(12).fill(7)), idx(0x801, [3], [0, 2, 1])));
  writeIdx('one', pair(idx(0x803, [1, 4, 5], Array(20).fill(200)), idx(0x801, [1], [0])));
  const zipped = gzipSync(idx(0x803, [4, 2, 2], Array(16).fill(9)));
  const padded = Buffer.concat([zipped, Buffer.alloc((4 - (zipped.length % 4)) % 4)]);
  writeIdx('gzip', pair(padded, gzipSync(idx(0x801, [4], [0, 1, 2, 3]))));

  const words = new Set([
    'pinhole/1',
    'same',
    'classes',
    '__metadata__',
    'dtype',
    'shape',
    'data_offsets',
    'F32',
    'F16',
    'BF16',
    'I64',
  ]);
  const visit = (value) => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (value && typeof value === 'object')
      Object.entries(value).forEach(([key, inner]) => (words.add(key), visit(inner)));
    else if (typeof value === 'string') words.add(value);
  };
  visit([specs, recipes]);
  writeFileSync(path.join(folder, 'json.dict'), [...words].map((word) => `"\\"${word}\\""\n`).join(''));
}
