// kernels.mjs's worker: asks the module, which is loaded once.
import { start } from './kernels.mjs';

let engine;
onmessage = async ({ data: { module, threads, request } }) => {
  try {
    engine ??= start({ module, threads });
    postMessage((await engine).ask({ request }));
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
