// Sees that a training goes wrong before its loss is no number any more.

export interface Divergence {
  readonly epoch: number;
  readonly loss: number;
}

/** Far above anything that the first batches of a healthy training show. */
const hopeless = 1e4;

/**
 * Watches the loss of a training with `classCount` classes. Guessing costs log(classCount); the first batches may cost several times
 * that, but a whole epoch after the second that costs four times as much, and more than the one before, is on its way up.
 */
export class LossWatch {
  private readonly guessing: number;
  private previous = Infinity;

  constructor(classCount: number) {
    this.guessing = Math.log(Math.max(2, classCount));
  }

  step(epoch: number, loss: number): Divergence | null {
    return loss < hopeless ? null : { epoch, loss };
  }

  epoch(epoch: number, loss: number): Divergence | null {
    const before = this.previous;
    this.previous = loss;
    return epoch > 2 && loss > 4 * this.guessing && loss > before ? { epoch, loss } : null;
  }
}
