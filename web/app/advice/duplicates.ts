// Finds photos that are there twice and photos that look almost alike, by their fingerprints (files/fingerprint.ts).

export interface Fingerprints {
  readonly id: number;
  readonly exact: string;
  /** 128 bits as hexadecimal digits. */
  readonly look: string;
}

/** Groups of photos' ids, in the photos' order. */
export interface Duplicates {
  /** The same file. */
  readonly exact: readonly (readonly number[])[];
  /** Almost the same picture, chains of them included; the same files are in here as well. */
  readonly alike: readonly (readonly number[])[];
}

/** Differing bits of 128 up to which two pictures count as alike: scaled or saved again they differ in a few, others in about 50. */
export const alikeUpTo = 8;

const wordsOfLook = 4;

export function findDuplicates(photos: readonly Fingerprints[]): Duplicates {
  const byFile = new Map<string, number[]>();
  photos.forEach(({ exact }, i) => {
    const same = byFile.get(exact);
    if (same) same.push(i);
    else byFile.set(exact, [i]);
  });
  const bits = Uint8Array.from(photos, ({ look }) => wordsOf(look).reduce((sum, word) => sum + bitsIn(word), 0));
  const order = Uint32Array.from(photos.keys()).sort((a, b) => bits[a]! - bits[b]!);
  const looks = new Uint32Array(photos.length * wordsOfLook);
  order.forEach((i, place) => looks.set(wordsOf(photos[i]!.look), place * wordsOfLook));
  const root = Int32Array.from(photos.keys());
  const find = (i: number): number => {
    while (root[i] !== i) i = root[i] = root[root[i]!]!;
    return i;
  };
  // Two looks differ in no fewer bits than one has more than the other, so that only those near in this order need comparing.
  for (let a = 0; a < photos.length; ++a) {
    const most = bits[order[a]!]! + alikeUpTo;
    for (let b = a + 1; b < photos.length && bits[order[b]!]! <= most; ++b)
      if (isAlike(looks, a, b)) root[find(order[b]!)] = find(order[a]!);
  }
  const groups = new Map<number, number[]>();
  for (let i = 0; i < photos.length; ++i) {
    const of = find(i);
    const group = groups.get(of);
    if (group) group.push(i);
    else groups.set(of, [i]);
  }
  const ids = (all: Iterable<number[]>): number[][] =>
    [...all].filter((group) => group.length > 1).map((group) => group.map((i) => photos[i]!.id));
  return { exact: ids(byFile.values()), alike: ids(groups.values()) };
}

function wordsOf(look: string): number[] {
  return Array.from({ length: wordsOfLook }, (_, w) => Number.parseInt(look.slice(w * 8, w * 8 + 8), 16));
}

function isAlike(looks: Uint32Array, a: number, b: number): boolean {
  let differing = 0;
  for (let w = 0; w < wordsOfLook; ++w) {
    differing += bitsIn(looks[a * wordsOfLook + w]! ^ looks[b * wordsOfLook + w]!);
    if (differing > alikeUpTo) return false;
  }
  return true;
}

/** Of a 32-bit word (Hacker's Delight, figure 5-2). */
function bitsIn(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/**
 * Keeps pictures that look alike on one side: a held-out image whose like the model has learned from would flatter it. `isHeldOut`
 * says for each photo whether it is for validation; what is alike goes to training, as long as its class keeps half of what it
 * had held out. Gives who is held out then.
 */
export function withoutLeaks(
  photos: readonly { readonly id: number; readonly label: number }[],
  isHeldOut: readonly boolean[],
  alike: Duplicates['alike'],
): boolean[] {
  const index = new Map(photos.map(({ id }, i) => [id, i]));
  const after = [...isHeldOut];
  const room = new Map<number, number>();
  photos.forEach(({ label }, i) => {
    if (isHeldOut[i]) room.set(label, (room.get(label) ?? 0) + 0.5);
  });
  for (const group of alike) {
    const there = group.flatMap((id) => index.get(id) ?? []);
    if (there.every((i) => isHeldOut[i]) || !there.some((i) => isHeldOut[i])) continue;
    for (const i of there) {
      const { label } = photos[i]!;
      const left = room.get(label) ?? 0;
      if (!isHeldOut[i] || left < 1) continue;
      after[i] = false;
      room.set(label, left - 1);
    }
  }
  return after;
}
