// Sees that a training goes wrong before its loss is no number any more.

export interface Divergence {
  readonly epoch: number;
  readonly loss: number;
}

/** Far above anything that the first batches of a healthy training show. */
const hopeless = 1e4;
/** A training may start as badly as it likes for so many steps. */
const patience = 60;

/**
 * Watches the loss of a training with `classCount` classes. Guessing costs log(classCount). The first steps may cost ten times that;
 * later, an epoch that does, and three times as much as the best before it, is on its way up.
 */
export class LossWatch {
  private readonly guessing: number;
  private lowest = Infinity;
  private steps = 0;

  constructor(classCount: number) {
    this.guessing = Math.log(Math.max(2, classCount));
  }

  step(epoch: number, loss: number): Divergence | null {
    ++this.steps;
    return loss < hopeless ? null : { epoch, loss };
  }

  epoch(epoch: number, loss: number): Divergence | null {
    const isUp = this.steps > patience && loss > 10 * this.guessing && loss > 3 * this.lowest;
    this.lowest = Math.min(this.lowest, loss);
    return isUp ? { epoch, loss } : null;
  }
}
