// What a model said about images whose class is known, and everything that is counted from that.

/** What the model said about one image. */
export interface Answer {
  /** Of the photo. */
  readonly id: number;
  /** Index of the class it is. */
  readonly label: number;
  /** Of each class. */
  readonly probabilities: readonly number[];
}

/** Index of the largest value; of equals the first, as the core has it. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; ++i) if (values[i]! > values[best]!) best = i;
  return best;
}

/** `flat` holds as many probabilities for each photo as there are classes. */
export function answersOf(
  photos: readonly { readonly id: number; readonly label: number }[],
  flat: Float32Array,
  classCount: number,
): Answer[] {
  if (flat.length !== photos.length * classCount)
    throw new Error(`expected ${photos.length * classCount} probabilities, got ${flat.length}`);
  return photos.map(({ id, label }, i) => ({
    id,
    label,
    probabilities: Array.from(flat.subarray(i * classCount, (i + 1) * classCount)),
  }));
}

export interface Scores {
  readonly right: number;
  readonly total: number;
  readonly accuracy: number;
  /** Mean over the images of -log(probability of the class it is). */
  readonly loss: number;
  /** confusion[label][predicted] */
  readonly confusion: readonly (readonly number[])[];
  /** Of what was called this class, the part that is; NaN when nothing was. */
  readonly precision: readonly number[];
  /** Of what is this class, the part that was called so; NaN when there is none. */
  readonly recall: readonly number[];
}

/** The smallest probability a logarithm is taken of: a float underflows below it. */
export const smallestProbability = 1e-38;

export function scoresOf(answers: readonly Answer[], classCount: number): Scores {
  const confusion = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  let loss = 0;
  for (const { label, probabilities } of answers) {
    ++confusion[label]![argmax(probabilities)]!;
    loss -= Math.log(Math.max(probabilities[label]!, smallestProbability));
  }
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const right = sum(confusion.map((row, c) => row[c]!));
  return {
    right,
    total: answers.length,
    accuracy: right / answers.length,
    loss: loss / answers.length,
    confusion,
    precision: confusion.map((row, c) => row[c]! / sum(confusion.map((other) => other[c]!))),
    recall: confusion.map((row, c) => row[c]! / sum(row)),
  };
}

export interface Mistake {
  readonly answer: Answer;
  readonly predicted: number;
  readonly probability: number;
}

/** The wrong answers, the most confident first. */
export function mistakesOf(answers: readonly Answer[]): Mistake[] {
  return answers
    .map((answer) => {
      const predicted = argmax(answer.probabilities);
      return { answer, predicted, probability: answer.probabilities[predicted]! };
    })
    .filter(({ answer, predicted }) => predicted !== answer.label)
    .sort((a, b) => b.probability - a.probability);
}
