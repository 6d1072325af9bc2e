// Numbers in words for people: counts, percentages, times.

export function plural(count: number, word: string, words = `${word}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? word : words}`;
}

/** 0.973 -> "97.3 %"; a part that rounds to 0 or 100 but is not says so. */
export function percent(share: number, digits = 1): string {
  if (Number.isNaN(share)) return '–';
  const text = (share * 100).toFixed(digits);
  const smallest = (10 ** -digits).toFixed(digits);
  if (share > 0 && Number(text) === 0) return `< ${smallest} %`;
  if (share < 1 && Number(text) === 100) return `> ${(100 - Number(smallest)).toFixed(digits)} %`;
  return `${text} %`;
}

/** 75 -> "1 min 15 s" */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'a while';
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function rate(imagesPerSecond: number): string {
  const digits = imagesPerSecond < 10 ? 1 : 0;
  return `${imagesPerSecond.toLocaleString('en', { maximumFractionDigits: digits })} images/s`;
}

/** 187654321 -> "179 MB" */
export function bytes(count: number): string {
  const megabytes = count / 2 ** 20;
  return megabytes < 1000 ? `${Math.max(1, Math.round(megabytes))} MB` : `${(megabytes / 1024).toFixed(1)} GB`;
}

/** 0.912 -> "0.91": a share beside its interval. */
export function share(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(2);
}
