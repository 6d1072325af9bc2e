// The probe and the kernel times of one WebAssembly build (wasm_kernels.cpp). In a page it runs in a worker, where threads may wait.
export async function start({ module, threads }) {
  if (typeof document === 'undefined') {
    const { default: create } = await import(module);
    const core = await create({ pthreadPoolSize: threads - 1 });
    return { ask: ({ request }) => JSON.parse(core.kernelBench(JSON.stringify(request))) };
  }
  const worker = new Worker(new URL('./kernels_worker.mjs', import.meta.url), { type: 'module' });
  return {
    ask: ({ request }) =>
      new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message || 'the worker failed'));
        worker.postMessage({ module, threads, request });
      }),
  };
}
