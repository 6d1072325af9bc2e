// The one engine of the page. It starts at once, in its own worker; whoever needs it awaits engine().
import { load, type Pinhole, type Variant } from '../engine/index';
import { messageOf } from './actions/errors';
import { engineState } from './state';

export const wasmUrl = new URL('./wasm/', document.baseURI);

let starting: Promise<Pinhole> | undefined;

export function engine(): Promise<Pinhole> {
  starting ??= start();
  return starting;
}

/** A second engine with so many threads, which takes the first one's place. Whoever calls disposes of the first. */
export async function restartEngine(threads: number): Promise<Pinhole> {
  const next = start(threads);
  const before = starting;
  const stateBefore = engineState.value;
  starting = next;
  next.catch(() => {
    starting = before;
    engineState.value = stateBefore;
  });
  return next;
}

const instructions: Record<Variant, string> = {
  simd: 'SIMD',
  'simd-threads': 'SIMD',
  'relaxed-threads': 'relaxed SIMD',
};

async function start(wanted?: number): Promise<Pinhole> {
  try {
    const started = await load({ wasmUrl, ...(wanted !== undefined && { threads: wanted }) });
    const { variant, threads, description } = started.info;
    engineState.value = {
      status: 'ready',
      threads,
      hasThreads: variant !== 'simd',
      runs: `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${instructions[variant]}`,
      details: description,
    };
    return started;
  } catch (error) {
    engineState.value = { status: 'failed', message: messageOf(error) };
    throw error;
  }
}
