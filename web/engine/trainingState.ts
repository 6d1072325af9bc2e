// What a training state says of itself, read from the header of its safetensors file without an engine.

import type { CoreProgress, CoreRecipe } from './core.js';
import type { ModelSpec, TrainingStateInfo } from './types.js';

/** For "go on with epoch 4 of 10?". Fails when the bytes are no training state; whether they are whole, resume tells. */
export function describeState(state: Uint8Array | ArrayBuffer): TrainingStateInfo {
  const bytes = state instanceof Uint8Array ? state : new Uint8Array(state);
  try {
    const size = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + size));
    const facts = (JSON.parse(header) as { __metadata__: Record<string, string> }).__metadata__;
    if (facts.format !== 'pinhole-training/1') throw new Error(`format ${String(facts.format)}`);
    const read = (key: string): unknown => JSON.parse(facts[key] ?? 'null');
    const progress = read('progress') as CoreProgress;
    const recipe = read('recipe') as CoreRecipe;
    return {
      spec: read('spec') as ModelSpec,
      classes: read('classes') as string[],
      epochs: recipe.epochs,
      epochsDone: progress.history.length,
      step: progress.step,
      recipe: { ...recipe },
    };
  } catch {
    throw new Error('these bytes are no training state');
  }
}
