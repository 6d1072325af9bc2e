// Makes tests/golden/layers_models/: two small models as Teachable Machine exports them, made by TensorFlow.js with random weights, and
// what TensorFlow.js answers to a few pictures:  node tests/golden/make_layers_models.mjs
//
// "v2" is built like Teachable Machine's MobileNetV2, models in models, with every form of layer that such a file has; "v1" like the one
// that it had first, whose picture is flattened before the head.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fetchPeers, modules } from '../bench/peers.mjs';
import { random } from '../wasm/support.mjs';

await fetchPeers(['@tensorflow/tfjs']);
const tf = createRequire(path.join(modules, 'here.js'))('@tensorflow/tfjs');
await tf.setBackend('cpu');

const { layers } = tf;
const folder = path.join(import.meta.dirname, 'layers_models');
const labels = ['cat', 'Möwe', 'none of them'];
const height = 20;
const width = 16;

const conv = (name, filters, kernelSize, options = {}) =>
  layers.conv2d({ name, filters, kernelSize, padding: 'same', useBias: false, ...options });
const norm = (name) => layers.batchNormalization({ name, epsilon: 0.001, momentum: 0.999 });
const relu6 = (name) => layers.reLU({ name, maxValue: 6 });

/** With the corner padding that Keras' MobileNetV2 has before a stride. */
function trunkV2() {
  const input = tf.input({ shape: [height, width, 3], name: 'input_1' });
  const through = (x, ...all) => all.reduce((at, layer) => layer.apply(at), x);
  let x = through(
    input,
    layers.zeroPadding2d({
      name: 'Conv1_pad',
      padding: [
        [0, 1],
        [0, 1],
      ],
    }),
    conv('Conv1', 8, 3, { strides: 2, padding: 'valid' }),
    norm('bn_Conv1'),
    relu6('Conv1_relu'),
  );
  const narrow = through(
    x,
    layers.depthwiseConv2d({ name: 'dw', kernelSize: 3, padding: 'same', useBias: false, depthMultiplier: 2 }),
    norm('dw_BN'),
    relu6('dw_relu'),
    conv('project', 8, 1),
    norm('project_BN'),
  );
  x = layers.add({ name: 'add' }).apply([x, narrow]);
  // A shortcut with a layer of its own, and a block inside a block.
  const inner = through(x, conv('inner_conv', 12, 3, { useBias: true, activation: 'relu' }));
  const innermost = through(inner, conv('innermost_conv', 12, 1), norm('innermost_BN'));
  const summed = layers.add({ name: 'inner_add' }).apply([innermost, inner]);
  x = layers
    .add({ name: 'outer_add' })
    .apply([through(summed, conv('outer_conv', 10, 3, { dilationRate: 2 })), through(x, conv('shortcut', 10, 1))]);
  x = through(
    x,
    layers.maxPooling2d({ name: 'pool', poolSize: 2 }),
    layers.zeroPadding2d({ name: 'pad', padding: 1 }),
    conv('conv', 14, 3, { padding: 'valid', activation: 'relu6', useBias: true }),
    conv('strided', 16, 3, { strides: 2 }),
    layers.batchNormalization({ name: 'plain_BN', scale: false, center: false }),
    layers.activation({ name: 'out', activation: 'relu' }),
  );
  return tf.model({ inputs: input, outputs: x });
}

function trunkV1() {
  const input = tf.input({ shape: [height, width, 3], name: 'input_1' });
  const x = [
    conv('conv1', 6, 3, { strides: 2, useBias: true, activation: 'relu' }),
    layers.averagePooling2d({ name: 'pool', poolSize: [2, 2] }),
    layers.dropout({ name: 'dropout', rate: 0.3 }),
  ].reduce((at, layer) => layer.apply(at), input);
  return tf.model({ inputs: input, outputs: x });
}

/** As Teachable Machine puts it together: [[trunk, end], [Dense, Dense]]. */
function whole(trunk, end, inputs) {
  const features = tf.sequential({ layers: [trunk, end] });
  const head = tf.sequential({
    layers: [
      layers.dense({ units: 9, inputShape: [inputs], activation: 'relu', name: 'dense_Dense1' }),
      layers.dense({ units: labels.length, activation: 'softmax', useBias: false, name: 'dense_Dense2' }),
    ],
  });
  return tf.sequential({ layers: [features, head] });
}

/** Weights that let every layer matter. */
function fill(model, next) {
  model.setWeights(
    model.weights.map(({ name, shape }) => {
      const size = shape.reduce((product, length) => product * length, 1);
      const fan = Math.max(1, size / shape.at(-1));
      const values = Float32Array.from({ length: size }, () => {
        const value = 2 * next() - 1;
        if (/variance/.test(name)) return 0.5 + next();
        if (/gamma/.test(name)) return 1 + 0.3 * value;
        if (/beta|mean|bias/.test(name)) return 0.3 * value;
        return value * Math.sqrt(6 / fan) * (/depthwise/.test(name) ? 0.7 : 1);
      });
      return tf.tensor(values, shape);
    }),
  );
}

async function write(name, model, metadata, next) {
  fill(model, next);
  const into = path.join(folder, name);
  mkdirSync(into, { recursive: true });
  await model.save(
    tf.io.withSaveHandler(({ modelTopology, weightSpecs, weightData }) => {
      const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
      writeFileSync(path.join(into, 'model.json'), `${JSON.stringify({ modelTopology, weightsManifest })}\n`);
      writeFileSync(path.join(into, 'weights.bin'), Buffer.from(weightData));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const facts = { packageName: '@teachablemachine/image', modelName: `tm-${name}`, labels, imageSize: height, ...metadata };
  writeFileSync(path.join(into, 'metadata.json'), `${JSON.stringify(facts)}\n`);
  const pictures = Array.from({ length: 4 }, () => Array.from({ length: height * width * 3 }, () => Math.floor(256 * next())));
  const answers = pictures.map((bytes) =>
    // Teachable Machine's capture(): divided by 127, less 1.
    Array.from(model.predict(tf.tensor(bytes, [1, height, width, 3]).toFloat().div(127).sub(1)).dataSync()),
  );
  writeFileSync(
    path.join(into, 'golden.json'),
    `${JSON.stringify({ made_with: `TensorFlow.js ${tf.version.tfjs}`, pictures, answers })}\n`,
  );
  console.log(name, answers);
}

const next = random(20);
await write('v2', whole(trunkV2(), layers.globalAveragePooling2d({}), 16), { tmVersion: '2.4.10' }, next);
await write('v1', whole(trunkV1(), layers.flatten(), 5 * 4 * 6), { tmVersion: '2.0.0' }, next);
