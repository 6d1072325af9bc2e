// Cuts a set into k parts of which each is held out once: with few images the only way to test on all of them.

/** A small generator of numbers in [0, 1): mulberry32 (Tommy Ettinger, public domain). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Fold {
  readonly train: readonly number[];
  readonly val: readonly number[];
}

/** Every class is spread evenly over the folds. The same seed, the same folds. */
export function stratifiedFolds(labels: readonly number[], count: number, seed: number): Fold[] {
  if (!Number.isInteger(count) || count < 2 || count > labels.length)
    throw new Error(`expected 2 to ${labels.length} folds, got ${count}`);
  const random = randomNumbers(seed);
  const byClass = new Map<number, number[]>();
  for (const [index, label] of labels.entries()) {
    const list = byClass.get(label);
    if (list) list.push(index);
    else byClass.set(label, [index]);
  }
  const foldOf = new Array<number>(labels.length).fill(0);
  // Where one class ends the next goes on, so that the folds are of one size.
  let next = 0;
  for (const label of [...byClass.keys()].sort((a, b) => a - b)) {
    const indices = byClass.get(label)!;
    for (let i = indices.length - 1; i > 0; --i) {
      const j = Math.floor(random() * (i + 1));
      [indices[i], indices[j]] = [indices[j]!, indices[i]!];
    }
    for (const index of indices) foldOf[index] = next++ % count;
  }
  return Array.from({ length: count }, (_, fold) => ({
    train: labels.flatMap((_, index) => (foldOf[index] === fold ? [] : [index])),
    val: labels.flatMap((_, index) => (foldOf[index] === fold ? [index] : [])),
  }));
}
