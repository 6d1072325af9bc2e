// Below which probability a model had better say "not sure".
import { argmax, type Answer } from './answers';

export interface Threshold {
  /** Answers with a largest probability of at least this are given. */
  readonly value: number;
  /** Of the images it was fitted on: the part that is answered. */
  readonly answered: number;
  /** Of those: the part that is right. */
  readonly accuracy: number;
  /** What was asked for could be had. */
  readonly reached: boolean;
}

/**
 * The lowest threshold that leaves at least `wanted` of the given answers right. Where there is none, the one whose answers are most
 * often right while at least a fifth of the images is still answered.
 */
export function fitThreshold(answers: readonly Answer[], wanted = 0.9): Threshold {
  const sorted = answers
    .map(({ label, probabilities }) => {
      const predicted = argmax(probabilities);
      return { confidence: probabilities[predicted]!, isRight: predicted === label };
    })
    .sort((a, b) => b.confidence - a.confidence);
  const total = sorted.length;
  let right = 0;
  let reached: Threshold | undefined;
  let best: Threshold = { value: 0, answered: 1, accuracy: 0, reached: false };
  for (const [i, { confidence, isRight }] of sorted.entries()) {
    if (isRight) ++right;
    const given = i + 1;
    // Equal confidences are answered together or not at all.
    if (sorted[given]?.confidence === confidence) continue;
    const here = { value: confidence, answered: given / total, accuracy: right / given };
    if (here.accuracy >= wanted) reached = { ...here, reached: true };
    else if (here.answered >= 0.2 && here.accuracy >= best.accuracy) best = { ...here, reached: false };
  }
  if (!reached) return best;
  // All are answered: then nothing need be refused, not even what is less sure than anything seen here.
  return reached.answered === 1 ? { ...reached, value: 0 } : reached;
}
