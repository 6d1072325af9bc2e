// How long a training will take here and how much memory, before it begins.
import type { JSX } from 'preact';
import { estimate } from '../state';
import { bytes, duration } from './words';

export function EstimateLine(): JSX.Element | null {
  const state = estimate.value;
  if (!state) return null;
  const text =
    state.status === 'measuring'
      ? 'Measuring how fast this device is…'
      : state.status === 'failed'
        ? state.message
        : state.bytes > state.limit
          ? `Needs about ${bytes(state.bytes)} of memory, more than the ${bytes(state.limit)} that a tab can count on here. Use smaller images, a smaller batch or fewer photos.`
          : `About ${duration(Math.max(1, state.seconds))} on this device, with ${bytes(state.bytes)} of memory: it fits.`;
  const isBad = state.status === 'failed' || (state.status === 'measured' && state.bytes > state.limit);
  return (
    <p class={isBad ? 'field__problem' : 'soft small'} id="train-estimate">
      {text}
    </p>
  );
}
