// Below which probability a model had better say "not sure".
import { argmax, type Answer } from './answers';

export interface Threshold {
  /** Answers with a largest probability of at least this are given; 0 gives all. */
  readonly value: number;
  /** Of the images it was fitted on: the part that is answered. */
  readonly answered: number;
  /** Of those: the part that is right. */
  readonly accuracy: number;
}

/** A wrong answer is as bad as three right ones are good: then one had better answer where three of four are right. */
const costOfWrong = 3;

/**
 * The threshold with the most right answers, less three times the wrong ones (Chow's rule, with the counts of `answers` for the
 * probabilities, which may be too sure). Of equals the lowest. Where no threshold is worth anything, 0: the model then is no use, and
 * refusing every image would hide that.
 */
export function fitThreshold(answers: readonly Answer[]): Threshold {
  const sorted = answers
    .map(({ label, probabilities }) => {
      const predicted = argmax(probabilities);
      return { confidence: probabilities[predicted]!, isRight: predicted === label };
    })
    .sort((a, b) => b.confidence - a.confidence);
  const total = sorted.length;
  const allRight = sorted.filter(({ isRight }) => isRight).length;
  let best: Threshold = { value: 0, answered: 1, accuracy: total === 0 ? 0 : allRight / total };
  let bestWorth = 0;
  let right = 0;
  for (const [i, { confidence, isRight }] of sorted.entries()) {
    if (isRight) ++right;
    const given = i + 1;
    // Equal confidences are answered together or not at all.
    if (sorted[given]?.confidence === confidence) continue;
    const worth = right - costOfWrong * (given - right);
    if (worth <= 0 || worth < bestWorth) continue;
    bestWorth = worth;
    // When all are answered nothing need be refused, not even what is less sure than anything seen here.
    best = { value: given === total ? 0 : confidence, answered: given / total, accuracy: right / given };
  }
  return best;
}
