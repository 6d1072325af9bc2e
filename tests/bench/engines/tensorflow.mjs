// TensorFlow.js's columns, its layers API: the cpu backend trains, the wasm backend infers (it has no gradient of a convolution).
import { layersOf, measureSteps, randomBytes } from './loop.mjs';

const script = (source) =>
  new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = source;
    element.onload = resolve;
    element.onerror = () => reject(new Error(`cannot load ${source}`));
    document.head.append(element);
  });

export async function start({ modules, backend, wasmPath, threads }) {
  for (const source of modules) await script(source);
  const { tf } = globalThis;
  if (backend === 'wasm') {
    tf.wasm.setWasmPaths(wasmPath);
    tf.wasm.setThreadsCount(threads);
  }
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js has no backend '${backend}' here`);
  await tf.ready();
  let step;

  function build(row) {
    const { layers, binary } = layersOf(row);
    const model = tf.sequential();
    layers.forEach((layer, i) => {
      const inputShape = i === 0 ? row.spec.input : undefined;
      const activation = layers[i + 1]?.type === 'ReLU' ? 'relu' : undefined;
      const last = i === layers.length - 1;
      if (layer.type === 'Conv2d')
        model.add(
          tf.layers.conv2d({
            inputShape,
            filters: layer.outputs,
            kernelSize: layer.kernel,
            padding: 'same',
            activation,
          }),
        );
      else if (layer.type === 'MaxPool2d') model.add(tf.layers.maxPooling2d({ poolSize: 2, strides: 2 }));
      else if (layer.type === 'AdaptiveAvgPool2d') model.add(tf.layers.globalAveragePooling2d({}));
      else if (layer.type === 'Flatten' && layer.height > 1) model.add(tf.layers.flatten());
      else if (layer.type === 'Linear')
        model.add(
          tf.layers.dense({
            units: layer.outputs,
            activation: last ? (binary ? 'sigmoid' : 'softmax') : activation,
          }),
        );
    });
    model.compile({
      optimizer: tf.train.adam(1e-3),
      loss: binary ? 'binaryCrossentropy' : 'sparseCategoricalCrossentropy',
    });
    return { model, binary };
  }

  return {
    async prepare(row) {
      const { model, binary } = build(row);
      const [height, width, channels] = row.spec.input;
      const item = height * width * channels;
      const bytes = randomBytes(row.images * item);
      const labels = Float32Array.from({ length: row.images }, (_, i) => i % row.classes);
      let position = 0;
      step = async (batch = row.batch) => {
        const begin = position;
        position = (position + batch) % (row.images - batch + 1);
        const x = tf.tidy(() =>
          tf
            .tensor4d(bytes.subarray(begin * item, (begin + batch) * item), [batch, height, width, channels], 'int32')
            .toFloat()
            .div(255),
        );
        if (row.kind === 'train') {
          const chosen = labels.subarray(begin, begin + batch);
          const y = binary ? tf.tensor2d(chosen, [batch, 1]) : tf.tensor1d(chosen);
          await model.trainOnBatch(x, y);
          y.dispose();
        } else {
          const y = model.predict(x);
          await y.data();
          y.dispose();
        }
        x.dispose();
        return batch;
      };
      return {};
    },
    measure: ({ batch, ...request }) => measureSteps(() => step(batch), request),
  };
}
