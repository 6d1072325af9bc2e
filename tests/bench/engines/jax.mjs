// jax-js's column, its wasm device: the step (loss, gradients, Adam) is one jitted function, as in JAX.
import { layersOf, measureSteps, randomBytes } from './loop.mjs';

export async function start({ module }) {
  const jax = await import(module);
  const { numpy: np, lax, nn } = jax;
  await jax.init('wasm');
  jax.defaultDevice('wasm');
  let step;

  return {
    async prepare(row) {
      const { layers, binary } = layersOf(row);
      const uniform = (shape, fan) => {
        const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
        const bytes = randomBytes(values.length);
        for (let i = 0; i < values.length; ++i) values[i] = (bytes[i] / 127.5 - 1) / Math.sqrt(fan);
        return np.array(values).reshape(shape);
      };
      const zeros = (shape) => np.zeros(shape);
      let params = {};
      const shapes = {};
      layers.forEach((layer, i) => {
        const { type, channels: c, outputs: o, kernel: k } = layer;
        if (type === 'Conv2d')
          Object.assign(shapes, { [`w${i}`]: [[o, c, k, k], c * k * k], [`b${i}`]: [[1, o, 1, 1], c * k * k] });
        if (type === 'Linear') Object.assign(shapes, { [`w${i}`]: [[c, o], c], [`b${i}`]: [[1, o], c] });
      });
      let m = {},
        v = {};
      for (const [name, [shape, fan]] of Object.entries(shapes)) {
        params[name] = uniform(shape, fan);
        m[name] = zeros(shape);
        v[name] = zeros(shape);
      }

      // An array that is passed on is given away: `.ref` where it is used again.
      const logits = (p, x, batch) => {
        layers.forEach(({ type, height, width, channels, padding }, i) => {
          if (type === 'Conv2d') {
            const pad = [padding, padding];
            x = lax.convGeneralDilated(x, p[`w${i}`], [1, 1], [pad, pad]).add(p[`b${i}`]);
          } else if (type === 'ReLU') x = nn.relu(x);
          else if (type === 'MaxPool2d') {
            if (height % 2 || width % 2) x = x.slice([], [], [0, height & ~1], [0, width & ~1]);
            x = np.max(x.reshape([batch, channels, height >> 1, 2, width >> 1, 2]), [3, 5]);
          } else if (type === 'AdaptiveAvgPool2d') x = np.mean(x, [2, 3]);
          else if (type === 'Flatten') x = x.reshape([batch, channels * height * width]);
          else if (type === 'Linear') x = np.matmul(x, p[`w${i}`]).add(p[`b${i}`]);
        });
        return x;
      };
      const lossOf = (p, x, y) => {
        const batch = x.shape[0];
        const z = logits(p, x, batch);
        return binary ? np.mean(nn.softplus(z.ref).sub(z.mul(y))) : np.sum(nn.logSoftmax(z).mul(y)).mul(-1 / batch);
      };
      const update = jax.jit((p, m1, v1, x, y, c1, c2) => {
        const [loss, g] = jax.valueAndGrad(lossOf)(jax.tree.ref(p), x, y);
        const p2 = {},
          m2 = {},
          v2 = {};
        for (const name of Object.keys(shapes)) {
          m2[name] = m1[name].mul(0.9).add(g[name].ref.mul(0.1));
          v2[name] = v1[name].mul(0.999).add(np.square(g[name]).mul(0.001));
          const size = np.sqrt(v2[name].ref.mul(c2.ref)).add(1e-8);
          p2[name] = p[name].sub(m2[name].ref.mul(c1.ref).div(size).mul(1e-3));
        }
        c1.dispose();
        c2.dispose();
        return [p2, m2, v2, loss];
      });

      const [height, width, channels] = row.spec.input;
      const item = height * width * channels;
      const bytes = randomBytes(row.images * item);
      let position = 0,
        number = 0;
      step = async (batch = row.batch) => {
        const begin = position;
        position = (position + batch) % (row.images - batch + 1);
        const x = Float32Array.from(bytes.subarray(begin * item, (begin + batch) * item), (value) => value / 255);
        const y = new Float32Array(batch * (binary ? 1 : row.classes));
        for (let i = 0; i < batch; ++i) {
          const label = (begin + i) % row.classes;
          if (binary) y[i] = label;
          else y[i * row.classes + label] = 1;
        }
        ++number;
        const [p2, m2, v2, loss] = update(
          params,
          m,
          v,
          np.array(x).reshape([batch, channels, height, width]),
          np.array(y).reshape([batch, binary ? 1 : row.classes]),
          np.array([1 / (1 - 0.9 ** number)]),
          np.array([1 / (1 - 0.999 ** number)]),
        );
        [params, m, v] = [p2, m2, v2];
        await loss.data();
        return batch;
      };
      return {};
    },
    measure: ({ batch, ...request }) => measureSteps(() => step(batch), request),
  };
}
