// How far a measured share can be from the true one.

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** 95 % of a normal distribution lie within so many standard deviations. */
const z95 = 1.959963984540054;

/**
 * Wilson's score interval for `right` of `total`: with 95 % confidence the true share lies in it. Unlike the textbook's mean plus or
 * minus two deviations it holds for few images and for shares near 0 and 1. (E. B. Wilson, JASA 22, 1927.)
 */
export function wilson(right: number, total: number, z = z95): Interval {
  if (total === 0) return { low: 0, high: 1 };
  const share = right / total;
  const z2 = (z * z) / total;
  const middle = (share + z2 / 2) / (1 + z2);
  const half = (z / (1 + z2)) * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total));
  // Exactly 0 and 1 where rounding would miss them.
  return { low: right === 0 ? 0 : Math.max(0, middle - half), high: right === total ? 1 : Math.min(1, middle + half) };
}
