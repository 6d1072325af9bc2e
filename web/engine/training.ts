// The loops around the core's steps. Between any two steps other messages are let in, so that a stop is seen and other calls
// are answered. The sums are native_train's: means over the images of an epoch, each taken in its step, before its update.

import type { Core, CoreDataset, CoreEvaluationRun, CoreProgress, CoreRecipe, CoreTrainingRun } from './core.js';
import { yieldToMessages } from './environment.js';
import type {
  EpochEvent,
  Evaluation,
  EvaluationProgress,
  FirstAnswerEvent,
  History,
  PreparingProgress,
  ResumeEvent,
  StepEvent,
} from './types.js';

/** Milliseconds between two progress messages: more of them than a screen can show only cost time. */
export const progressInterval = 30;
/** The same where the page has nothing to draw but a bar, and every drawing takes the cores from the layers. */
const preparingInterval = 100;

const secondsSince = (start: number): number => Math.max((performance.now() - start) / 1000, 1e-6);

export interface TrainingCall {
  core: Core;
  val: CoreDataset | undefined;
  /** Begins a training or goes on with one. */
  start: () => CoreTrainingRun;
  stopped: () => boolean;
  /** Settles when the training may go on; undefined while it is not paused. */
  paused: () => Promise<void> | undefined;
  report: (steps: StepEvent[], epoch?: EpochEvent) => void;
  resumed: ((event: ResumeEvent) => void) | undefined;
  prepared: (at: PreparingProgress) => void;
  firstAnswer: (event: FirstAnswerEvent) => void;
  /** Gets the training's state as TrainOptions' `onState` says; the steps before it have been reported then. */
  keep?: ((state: Uint8Array, at: { epoch: number; step: number }) => void) | undefined;
  stateSteps: number | undefined;
  /** TrainOptions' */
  stateSeconds: number;
  leastStateSeconds: number;
}

export interface TrainingEnd {
  history: History;
  recipe: CoreRecipe;
  /** The model had been trained before, or came from a file. */
  init: boolean;
}

const progressOf = (run: CoreTrainingRun): CoreProgress => JSON.parse(run.progress()) as CoreProgress;

function epochEvent(row: CoreProgress['history'][number], seconds: number): EpochEvent {
  const event: EpochEvent = { epoch: row.epoch, trainLoss: row.train_loss, trainAccuracy: row.train_accuracy, seconds };
  if (row.val_loss !== null && row.val_accuracy !== null)
    Object.assign(event, { valLoss: row.val_loss, valAccuracy: row.val_accuracy });
  return event;
}

export async function trainLoop(call: TrainingCall): Promise<TrainingEnd> {
  const { core, val, stopped, paused, report, keep, stateSteps, stateSeconds, leastStateSeconds } = call;
  const run = call.start();
  let steps: StepEvent[] = [];
  let lastReport = -Infinity;
  let lastState = -Infinity;
  const flush = (epoch?: EpochEvent): void => {
    if (steps.length > 0 || epoch) report(steps, epoch);
    steps = [];
    lastReport = performance.now();
  };
  try {
    const recipe = JSON.parse(run.recipe()) as CoreRecipe;
    const { init } = JSON.parse(run.notes()) as { init?: boolean };
    const before = progressOf(run);
    const history: History = {
      epochs: before.history.map((row) => epochEvent(row, 0)),
      steps: before.step,
      stopped: false,
      seconds: 0,
    };
    const inexact = run.inexact();
    call.resumed?.({ epochs: history.epochs.length, steps: history.steps, ...(inexact && { inexact }) });
    const keepState = (): void => {
      if (!keep) return;
      flush();
      const { epoch, step } = progressOf(run);
      keep(run.state(val ?? null), { epoch, step });
      lastState = performance.now();
    };
    const validated = async (): Promise<Scores | undefined> =>
      val && (await evaluateLoop({ run: core.EvaluationRun.during(run, val), total: val.size(), stopped }));
    const begun = performance.now();
    let answers = run.startedFromMeans();
    let toPrepare = true;
    while (toPrepare && !stopped()) {
      toPrepare = run.prepareStep();
      if (run.toPrepare() > 0 && (!toPrepare || performance.now() - lastReport >= preparingInterval)) {
        call.prepared({ done: run.prepared(), total: run.toPrepare() });
        lastReport = performance.now();
      }
      if (!answers && run.startedFromMeans()) {
        answers = true;
        const scores = await validated();
        if (scores) call.firstAnswer({ valLoss: scores.loss, valAccuracy: scores.accuracy });
        else if (!val) call.firstAnswer({});
      }
      await yieldToMessages();
      await paused();
    }
    while (!run.finished()) {
      let seconds = 0;
      while (!run.epochEnded()) {
        await yieldToMessages();
        await paused();
        if (stopped()) break;
        const start = performance.now();
        const { step, epoch, images, loss, correct, lr } = run.step();
        const stepSeconds = secondsSince(start);
        seconds += stepSeconds;
        history.steps = step;
        steps.push({ step, epoch, loss, lr, images, correct, imagesPerSecond: images / stepSeconds });
        const isLong = performance.now() - Math.max(lastState, begun) >= stateSeconds * 1000 && !run.epochEnded();
        if (isLong || (stateSteps !== undefined && step % stateSteps === 0)) keepState();
        if (performance.now() - lastReport >= progressInterval) flush();
      }
      history.seconds += seconds;
      if (!run.epochEnded()) break;
      run.useAverage(true);
      const scores = await validated();
      run.useAverage(false);
      if (val && !scores) break; // stopped: the epoch is closed by whoever goes on
      run.endEpoch(scores);
      const row = progressOf(run).history.at(-1);
      if (!row) throw new Error('the training lost its history');
      const event = epochEvent(row, seconds);
      history.epochs.push(event);
      flush(event);
      if (!stopped() && performance.now() - lastState >= leastStateSeconds * 1000) keepState();
    }
    flush();
    history.stopped = !run.finished();
    if (stopped()) keepState();
    if (recipe.keep === 'best' && val) history.bestEpoch = progressOf(run).best_epoch;
    return { history, recipe, init: init === true };
  } finally {
    flush();
    run.finish(); // after a failure too: what was learned before the loss exploded is worth keeping
    run.delete();
  }
}

export interface EvaluationCall {
  /** Deleted in the end. */
  run: CoreEvaluationRun;
  /** Images. */
  total: number;
  stopped: () => boolean;
  report?: (progress: EvaluationProgress) => void;
}

type Scores = ReturnType<CoreEvaluationRun['result']> & { probabilities: Float32Array };

/** Undefined when it was stopped. */
export async function evaluateLoop({ run, total, stopped, report }: EvaluationCall): Promise<Scores | undefined> {
  let lastReport = -Infinity;
  try {
    while (run.step()) {
      if (report && performance.now() - lastReport >= progressInterval) {
        report({ done: run.done(), total });
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
