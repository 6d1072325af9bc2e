// The model that classifies, for the actions that work with it. What the page says of it is state.ts's currentModel.
import type { Model } from '../../engine/index';
import { isLent } from '../state';

let model: Model | null = null;
/** One that is still being trained. */
let lent: Model | null = null;

export function modelInUse(): Model | null {
  return model;
}

/** Gives the one before, which is the caller's to dispose of. */
export function useModel(next: Model | null): Model | null {
  const before = model;
  model = next;
  return before;
}

/** The model that pictures are shown to: the one in use; without one, the one in training as soon as it has an answer. */
export function modelToAsk(): Model | null {
  return model ?? lent;
}

/** Null: until here. */
export function lendModel(training: Model | null): void {
  lent = training;
  isLent.value = training !== null && model === null;
}
