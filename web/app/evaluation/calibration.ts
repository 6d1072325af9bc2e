// Whether "90 % sure" is right nine times out of ten, and the one number that makes it so.
import { argmax, smallestProbability, type Answer } from './answers';

/**
 * Softmax of the logits divided by `temperature`. Logits are the logarithms of the probabilities up to a constant, which softmax
 * does not see; so no logits are needed. Above 1 the answers become less sure, below 1 surer; their order stays.
 */
export function tempered(probabilities: readonly number[], temperature: number): number[] {
  if (temperature === 1) return [...probabilities];
  const logits = probabilities.map((p) => Math.log(Math.max(p, smallestProbability)) / temperature);
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function lossAt(answers: readonly Answer[], temperature: number): number {
  let loss = 0;
  for (const { label, probabilities } of answers)
    loss -= Math.log(Math.max(tempered(probabilities, temperature)[label]!, smallestProbability));
  return loss / answers.length;
}

/** The search ends at these: beyond, answers are all but one-hot or all but equal. */
export const temperatureLimits = { low: 0.05, high: 20 } as const;

/**
 * The temperature with the smallest loss on `answers` (Guo et al., "On Calibration of Modern Neural Networks", 2017). The loss is
 * convex in 1/temperature, so a golden-section search finds the one minimum.
 */
export function fitTemperature(answers: readonly Answer[]): number {
  if (answers.length === 0) return 1;
  const ratio = (Math.sqrt(5) - 1) / 2;
  // In log(temperature), where the loss still has one minimum only.
  let low = Math.log(temperatureLimits.low);
  let high = Math.log(temperatureLimits.high);
  const at = (log: number): number => lossAt(answers, Math.exp(log));
  let left = high - ratio * (high - low);
  let right = low + ratio * (high - low);
  let atLeft = at(left);
  let atRight = at(right);
  while (high - low > 1e-4) {
    if (atLeft <= atRight) {
      high = right;
      [right, atRight] = [left, atLeft];
      left = high - ratio * (high - low);
      atLeft = at(left);
    } else {
      low = left;
      [left, atLeft] = [right, atRight];
      right = low + ratio * (high - low);
      atRight = at(right);
    }
  }
  return Math.exp((low + high) / 2);
}

/** Answers whose largest probability lies between two marks. */
export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Mean of their largest probability. */
  readonly confidence: number;
  /** Which part of them is right. */
  readonly accuracy: number;
}

export interface Reliability {
  /** Only those with answers in them. */
  readonly bins: readonly Bin[];
  /** Expected calibration error: how far confidence and accuracy are apart, in the mean over the images. */
  readonly error: number;
}

export function reliabilityOf(answers: readonly Answer[], temperature = 1, binCount = 10): Reliability {
  const sums = Array.from({ length: binCount }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (const { label, probabilities } of answers) {
    const shown = tempered(probabilities, temperature);
    const predicted = argmax(shown);
    const confidence = shown[predicted]!;
    const bin = sums[Math.min(binCount - 1, Math.floor(confidence * binCount))]!;
    ++bin.count;
    bin.confidence += confidence;
    if (predicted === label) ++bin.right;
  }
  const bins = sums.flatMap(({ count, confidence, right }, i) =>
    count === 0
      ? []
      : [
          {
            from: i / binCount,
            to: (i + 1) / binCount,
            count,
            confidence: confidence / count,
            accuracy: right / count,
          },
        ],
  );
  const apart = bins.reduce((sum, bin) => sum + bin.count * Math.abs(bin.accuracy - bin.confidence), 0);
  return { bins, error: answers.length === 0 ? 0 : apart / answers.length };
}
