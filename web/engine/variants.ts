// Which build of the core this browser or Node can run, and loading it.

import { relaxedSimd, simd, threads as sharedMemory } from 'wasm-feature-detect';
import type { Core, CoreFactory } from './core.js';
import { coreCount, messageOf } from './environment.js';
import type { Variant } from './types.js';

/** Beyond this, more threads add memory and waiting, not speed, for the sizes of network that are trained here. */
const mostThreads = 16;

/** Best first; the last one runs wherever the engine runs at all. */
async function runnableVariants(): Promise<Variant[]> {
  const [hasSimd, hasThreads, hasRelaxedSimd] = await Promise.all([simd(), sharedMemory(), relaxedSimd()]);
  if (!hasSimd) throw new Error('this browser has no WebAssembly SIMD, which the engine needs: please update it');
  const variants: Variant[] = ['simd'];
  if (hasThreads) variants.unshift('simd-threads');
  if (hasThreads && hasRelaxedSimd) variants.unshift('relaxed-threads');
  return variants;
}

export interface LoadedCore {
  core: Core;
  variant: Variant;
  threads: number;
}

/**
 * Loads `forced`, or the best build that works here. A build with threads can fail where it should run (a phone may refuse
 * to set aside that much shared memory): then the next one is taken.
 */
export async function loadCore(wasmUrl: string, forced?: Variant, threads?: number): Promise<LoadedCore> {
  const runnable = await runnableVariants();
  if (forced !== undefined && !runnable.includes(forced)) throw new Error(whyNot(forced, runnable));
  const candidates = forced === undefined ? runnable : [forced];
  // One thread needs no build with threads; relaxed SIMD still comes with one.
  const failures: string[] = [];
  for (const variant of candidates) {
    const count = variant === 'simd' ? 1 : (threads ?? Math.min(coreCount(), mostThreads));
    const url = `${wasmUrl}${variant}/pinhole.mjs`;
    try {
      const { default: create } = (await import(/* @vite-ignore */ url)) as { default: CoreFactory };
      return { core: await create({ pthreadPoolSize: count - 1 }), variant, threads: count };
    } catch (error) {
      failures.push(`${url}: ${messageOf(error)}`);
    }
  }
  throw new Error(`cannot load the engine: ${failures.join('; ')}`);
}

function whyNot(variant: Variant, runnable: readonly Variant[]): string {
  const known: readonly string[] = ['simd', 'simd-threads', 'relaxed-threads'] satisfies Variant[];
  if (!known.includes(variant)) return `unknown variant '${variant}': there are ${known.join(', ')}`;
  return (
    `this browser or Node cannot run the variant '${variant}', only ${runnable.join(', ')} ` +
    '(threads need a cross-origin isolated page)'
  );
}
