// ONNX Runtime's columns, Node and Web: inference of the network that PyTorch exported, the conversion from uint8 inside it.
import { measureSteps, randomBytes } from './loop.mjs';

export async function start({ module, web, threads }) {
  const imported = await import(module);
  const ort = imported.default ?? imported;
  if (web) ort.env.wasm.numThreads = threads;
  let step;
  return {
    async prepare({ spec, batch, images, onnx }) {
      const [height, width, channels] = spec.input;
      const model = web ? new Uint8Array(await (await fetch(onnx)).arrayBuffer()) : onnx;
      const session = await ort.InferenceSession.create(model, {
        executionProviders: [web ? 'wasm' : 'cpu'],
        graphOptimizationLevel: 'all',
        ...(web ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 }),
      });
      const item = height * width * channels;
      const bytes = randomBytes(images * item);
      let position = 0;
      step = async () => {
        const batchBytes = bytes.subarray(position * item, (position + batch) * item);
        position = (position + batch) % images;
        const { y } = await session.run({ x: new ort.Tensor('uint8', batchBytes, [batch, channels, height, width]) });
        if (y.data.length === 0) throw new Error('ONNX Runtime gave nothing');
        return batch;
      };
      return {};
    },
    measure: (request) => measureSteps(step, request),
  };
}
