// On how many threads the engine computes. Another number needs another engine; the model in use moves over.
import { messageOf, clearErrors, showError } from './errors';
import { engine, restartEngine } from '../engine';
import { classifying, isBusy } from '../state';
import { endEstimate } from './estimate';
import { moveModelTo } from './model';
import { modelInUse } from './modelInUse';

/** What this device offers, beyond which the engine gains nothing. */
export function mostThreads(): number {
  return Math.min(16, Math.max(1, navigator.hardwareConcurrency));
}

export async function setThreads(count: number): Promise<void> {
  if (isBusy.value || classifying.value) return;
  clearErrors('training');
  try {
    await endEstimate();
    const before = await engine();
    const file = await modelInUse()?.save();
    const after = await restartEngine(count);
    if (file) await moveModelTo(after, file);
    before.dispose();
  } catch (error) {
    showError('training', messageOf(error));
  }
}
