// What the page and the store's worker say to each other.

type Bytes = Uint8Array<ArrayBuffer>;

export interface StoreCalls {
  /** Keeps only what `keep` names; gives those of them that are not there. `input` as in inputKey(). */
  open: { takes: { isKept: boolean; keep: readonly number[]; input: string }; gives: readonly number[] };
  put: {
    takes: { id: number; thumbnail: Bytes | null; picture: Bytes; pixels: Bytes | null; input: string };
    gives: undefined;
  };
  thumbnail: { takes: { id: number }; gives: Bytes | null };
  picture: { takes: { id: number }; gives: Bytes | null };
  images: {
    takes: { ids: readonly number[]; input: string; mostBytes: number };
    gives: readonly { pixels: Bytes | null; picture: Bytes | null }[];
  };
  putPixels: { takes: { id: number; input: string; bytes: Bytes }; gives: undefined };
  /** The state of a training in the place of the one before. */
  putTraining: { takes: { bytes: Bytes; start: { id: number; bytes: Bytes } | null }; gives: undefined };
  training: { takes: object; gives: Bytes | null };
  trainingStart: { takes: { id: number }; gives: Bytes | null };
  clearTraining: { takes: object; gives: undefined };
  flush: { takes: object; gives: undefined };
  clear: { takes: object; gives: undefined };
}

export type StoreRequest = {
  [Name in keyof StoreCalls]: { id: number; name: Name; takes: StoreCalls[Name]['takes'] };
}[keyof StoreCalls];

export interface StoreAnswer {
  readonly id: number;
  readonly gives?: unknown;
  readonly failure?: string;
}
