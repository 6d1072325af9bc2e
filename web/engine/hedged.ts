/**
 * Starts `attempt(0)`; while nothing has answered after `waits[0]` ms, `attempt(1)` beside it, and so on. The first answer counts,
 * also when it is an error. After the last wait it fails with `failure`.
 */
export function hedged<T>(
  attempt: (index: number) => Promise<T>,
  waits: readonly number[],
  failure: string,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout>;
    const settle =
      <Value>(how: (value: Value) => void) =>
      (value: Value): void => {
        clearTimeout(timer);
        how(value);
      };
    const start = (index: number): void => {
      const wait = waits[index];
      if (wait === undefined) {
        reject(new Error(failure));
        return;
      }
      timer = setTimeout(() => start(index + 1), wait);
      attempt(index).then(settle(resolve), settle(reject));
    };
    start(0);
  });
}
