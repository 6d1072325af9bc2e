/**
 * Acts on the page as it is after the change just made. Preact renders in a microtask queued with the change (`queueMicrotask`), so that
 * one queued now comes after it, and before the next key: after the next frame, the first keys could go elsewhere.
 */
export function whenRendered(act: () => void): void {
  queueMicrotask(act);
}
