// The loops around the core's steps. Between any two steps other messages are let in, so that a stop is seen and other calls
// are answered. The sums are native_train's: means over the images of an epoch, each taken in its step, before its update.

import type { Core, CoreDataset, CoreEvaluationRun, CoreModel } from './core.js';
import { yieldToMessages } from './environment.js';
import type { CheckedSettings } from './settings.js';
import type { EpochEvent, Evaluation, EvaluationProgress, History, StepEvent } from './types.js';

/** Milliseconds between two progress messages: more of them than a screen can show only cost time. */
export const progressInterval = 30;

const secondsSince = (start: number): number => Math.max((performance.now() - start) / 1000, 1e-6);

export interface TrainingCall {
  core: Core;
  model: CoreModel;
  data: CoreDataset;
  val: CoreDataset | undefined;
  settings: CheckedSettings;
  stopped: () => boolean;
  /** Settles when the training may go on; undefined while it is not paused. */
  paused: () => Promise<void> | undefined;
  report: (steps: StepEvent[], epoch?: EpochEvent) => void;
  /** Gives the model weights that its save() gave before. */
  restore: (file: Uint8Array) => void;
}

/** The epoch that was best on the validation set, and the model as it was then. */
interface Best {
  epoch: number;
  accuracy: number;
  loss: number;
  file: Uint8Array;
}

function isBetter(scores: { accuracy: number; loss: number }, than: Best | undefined): boolean {
  return !than || scores.accuracy > than.accuracy || (scores.accuracy === than.accuracy && scores.loss < than.loss);
}

export async function trainLoop({
  core,
  model,
  data,
  val,
  settings,
  stopped,
  paused,
  report,
  restore,
}: TrainingCall): Promise<History> {
  const history: History = { epochs: [], steps: 0, stopped: false, seconds: 0 };
  const run = core.TrainingRun.start(model, data, settings);
  let steps: StepEvent[] = [];
  let lastReport = -Infinity;
  let best: Best | undefined;
  const keepsBest = settings.keep === 'best' && val !== undefined;
  const flush = (epoch?: EpochEvent): void => {
    if (steps.length > 0 || epoch) report(steps, epoch);
    steps = [];
    lastReport = performance.now();
  };
  try {
    for (let epoch = 1; epoch <= settings.epochs; ++epoch) {
      let images = 0,
        correct = 0,
        lossSum = 0,
        seconds = 0,
        ended = false;
      while (!ended) {
        await yieldToMessages();
        await paused();
        if (stopped()) break;
        const start = performance.now();
        const step = run.step();
        const stepSeconds = secondsSince(start);
        seconds += stepSeconds;
        images += step.images;
        correct += step.correct;
        lossSum += step.loss * step.images;
        ended = step.endOfEpoch;
        history.steps = step.step;
        const { loss } = step;
        steps.push({
          step: step.step,
          epoch,
          loss,
          images: step.images,
          correct: step.correct,
          imagesPerSecond: step.images / stepSeconds,
        });
        if (performance.now() - lastReport >= progressInterval) flush();
      }
      history.seconds += seconds;
      if (!ended) break;
      const event: EpochEvent = { epoch, trainLoss: lossSum / images, trainAccuracy: correct / images, seconds };
      const scores = val && (await evaluateLoop({ core, model, data: val, batchSize: settings.batchSize, stopped }));
      if (scores) {
        const { loss, accuracy } = scores;
        Object.assign(event, { valLoss: loss, valAccuracy: accuracy });
        if (keepsBest && isBetter(scores, best)) best = { epoch, loss, accuracy, file: model.save('{}') };
      }
      history.epochs.push(event);
      flush(event);
    }
  } finally {
    flush();
    run.delete();
    // After a failure too: what was learned before the loss exploded is worth keeping.
    if (best) restore(best.file);
  }
  if (keepsBest) history.bestEpoch = best?.epoch ?? 0;
  history.stopped = history.epochs.length < settings.epochs;
  return history;
}

export interface EvaluationCall {
  core: Core;
  model: CoreModel;
  data: CoreDataset;
  batchSize: number;
  stopped: () => boolean;
  report?: (progress: EvaluationProgress) => void;
}

type Scores = ReturnType<CoreEvaluationRun['result']> & { probabilities: Float32Array };

/** Undefined when it was stopped. */
export async function evaluateLoop({
  core,
  model,
  data,
  batchSize,
  stopped,
  report,
}: EvaluationCall): Promise<Scores | undefined> {
  const run = core.EvaluationRun.start(model, data, batchSize);
  let lastReport = -Infinity;
  try {
    while (run.step()) {
      if (report && performance.now() - lastReport >= progressInterval) {
        report({ done: run.done(), total: data.size() });
        lastReport = performance.now();
      }
      await yieldToMessages();
      if (stopped()) return undefined;
    }
    return { ...run.result(), probabilities: run.probabilities() };
  } finally {
    run.delete();
  }
}

export function evaluationOf(scores: Scores, classes: readonly string[]): Evaluation {
  const { loss, accuracy, confusion, precision, recall, probabilities } = scores;
  return {
    loss,
    accuracy,
    confusion,
    perClass: classes.map((label, c) => ({ label, precision: precision[c] ?? NaN, recall: recall[c] ?? NaN })),
    probabilities,
  };
}
