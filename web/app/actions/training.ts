// Trains: brings the photos to the engine, runs the epochs there, keeps the curves, evaluates at the end.
// The page only listens; every number comes from the engine.
import type { Dataset, EpochEvent, Model, StepEvent, TrainingRun } from '../../engine/index';
import { duration, percent, plural } from '../components/words';
import { engine } from '../engine';
import { answersOf, scoresOf } from '../evaluation/answers';
import { fitTemperature } from '../evaluation/calibration';
import { LossWatch, type Divergence } from '../evaluation/divergence';
import { wilson } from '../evaluation/interval';
import { fitThreshold } from '../evaluation/threshold';
import { modelOptions, specFor } from '../models';
import { trainSettings } from '../recipe';
import type { Settings } from '../settings';
import {
  bestEpoch,
  classes,
  crossValidation,
  diverged,
  firstAnswer,
  history,
  isBusy,
  isInexact,
  keptTraining,
  keptTrainingFits,
  phase,
  preparing,
  progress,
  reading,
  report,
  secondsOf,
  settings,
  trainedOn,
  type EpochPoint,
  type History,
  type KeptTraining,
  type PhotoClass,
  type Report,
  type StepPoint,
} from '../state';
import { announce } from './announce';
import { datasetOf, idsIn, photosIn, splitAgain, splitApart } from './dataset';
import { clearErrors, messageOf, showError } from './errors';
import { endEstimate } from './estimate';
import { adoptModel } from './model';
import { lendModel } from './modelInUse';
import { renameInModel } from './rename';
import { obstacle } from './settings';

/**
 * How often the page redraws while it trains, in milliseconds: the longer it has trained, the less often, because there is less new
 * to be seen and every drawing takes the cores from the training.
 */
const redrawEvery = { least: 120, most: 500, ofElapsed: 0.005 };

/**
 * The state of a training is written after every epoch, and in longer ones about so often, no more bytes a second on the average.
 * A training whose epochs' states would come to more than so many bytes writes no more often than that at their ends either:
 * disks and batteries are glad.
 */
const secondsBetweenStates = 2;
const stateBytesPerSecond = 4e6;
const mostStateBytes = 20e9;
/** Of epochs of a millisecond, as a head has on a frozen trunk, some go without: their states take longer than they do. */
const leastSecondsBetweenStates = 0.05;
/** Weights, the best ones and two moments, in floats. */
const stateBytesPerParameter = 16;

let run: TrainingRun | null = null;
let stopAsked = false;
/** Since when it is paused, and for how long it was before; milliseconds. */
let pausedSince: number | null = null;
let pausedFor = 0;
/** When the button was pressed. */
let startedAt = 0;

export function train(): Promise<void> {
  return trainFrom(null);
}

/** Takes a training up again that was stopped, or that ended with its page. The images must be those it began with. */
export async function goOn(): Promise<void> {
  if (keptTraining.value && keptTrainingFits.value) await trainFrom(keptTraining.value);
}

/** Of an interrupted training nothing stays. */
export function discardTraining(): void {
  if (isBusy.value || !keptTraining.value) return;
  keptTraining.value = null;
  trainedOn.value = null;
  history.value = { planned: 0, steps: [], epochs: [] };
  clearErrors('training');
  phase.value = 'idle';
  announce('The training was discarded.');
}

async function trainFrom(kept: KeptTraining | null): Promise<void> {
  if (isBusy.value || reading.value) return;
  clearErrors('training');
  const wrong = kept ? null : obstacle();
  if (wrong) {
    showError('training', wrong);
    return;
  }
  const chosen = kept?.settings ?? settings.value;
  begin(kept?.history ?? { planned: chosen.epochs, steps: [], epochs: [] });
  keptTraining.value = kept;
  // Classes that were renamed since have their old names in the state; the model gets the new ones in the end.
  const learned = kept?.classes ?? classes.value;
  trainedOn.value = classes.value;
  const data: Dataset[] = [];
  let model: Model | undefined;
  try {
    const pinhole = await engine();
    await endEstimate();
    const spec = specFor(chosen);
    const names = learned.map(({ name }) => name);
    model = await pinhole.createModel(spec, await modelOptions(spec, { classes: names, seed: chosen.seed }));
    const all = await datasetOf(pinhole, learned, {
      input: spec.input,
      onProgress: (done, total) => (preparing.value = { done, total }),
      stopped: () => stopAsked,
    });
    data.push(all);
    if (stopAsked) {
      phase.value = kept ? 'interrupted' : 'idle';
      announce('Stopped before training began.');
      await model.dispose();
      return;
    }
    const { train: trainPart, val } = kept
      ? await splitAgain(all, kept.split)
      : await splitApart(all, chosen.validationSplit, chosen.seed);
    data.push(trainPart, val);
    const start = { classes: learned, split: { train: await idsIn(trainPart), val: await idsIn(val) } };
    // Training holds only the two parts from here on.
    await all.dispose();
    phase.value = 'training';
    announce(`Training on ${plural(trainPart.size, 'image')}.`);
    const stopped = await runEpochs(model, trainPart, val, { settings: chosen, ...start }, kept);
    if (val.size > 0) {
      report.value = await reportOf(model, val, learned, chosen);
      model.training = { ...model.training, ...recordOf(report.value) };
    }
    lendModel(null);
    await adoptModel(
      model,
      { origin: 'trained', fileName: `${spec.name ?? chosen.model}.safetensors` },
      { phase: stopped ? 'stopped' : 'finished' },
    );
    if (kept) renameInModel(newNames(learned));
    // Not before the model is kept: a page that ends in between would have neither.
    if (!stopped || diverged.value) keptTraining.value = null;
    announce(
      `${stopped ? 'Training was stopped' : 'Training has finished'}.${report.value ? ` Validation accuracy ${percent(report.value.accuracy)}.` : ''}`,
    );
  } catch (error) {
    lendModel(null);
    await model?.dispose().catch(() => undefined);
    phase.value = 'failed';
    if (diverged.value) keptTraining.value = null;
    else showError('training', messageOf(error));
  } finally {
    run = null;
    progress.value = null;
    preparing.value = null;
    for (const part of data) void part.dispose().catch(() => undefined);
  }
}

/** Old names and new ones of the classes that were renamed since. */
function newNames(before: readonly PhotoClass[]): ReadonlyMap<string, string> {
  const now = new Map(classes.value.map(({ id, name }) => [id, name]));
  return new Map(
    before.map(({ id, name }) => [name, now.get(id) ?? name] as const).filter(([old, name]) => old !== name),
  );
}

function begin(from: History): void {
  stopAsked = false;
  pausedSince = null;
  pausedFor = 0;
  phase.value = 'preparing';
  progress.value = null;
  report.value = null;
  crossValidation.value = null;
  diverged.value = null;
  bestEpoch.value = null;
  firstAnswer.value = null;
  isInexact.value = false;
  startedAt = performance.now();
  history.value = from;
  announce('Preparing the images.');
}

/** Ends after the present step. The model keeps the weights of its best epoch. */
export function stop(): void {
  if (!isBusy.value) return;
  stopAsked = true;
  if (phase.value !== 'preparing') phase.value = 'stopping';
  run?.stop();
}

export function pause(): void {
  if (phase.value !== 'training' || !run) return;
  phase.value = 'paused';
  pausedSince = performance.now();
  run.pause();
  announce('Training is paused.');
}

export function resume(): void {
  if (phase.value !== 'paused' || !run) return;
  phase.value = 'training';
  endPause();
  run.resume();
  announce('Training goes on.');
}

function endPause(): void {
  if (pausedSince !== null) pausedFor += performance.now() - pausedSince;
  pausedSince = null;
}

/** True when it was stopped. */
async function runEpochs(
  model: Model,
  data: Dataset,
  val: Dataset,
  start: Pick<KeptTraining, 'settings' | 'classes' | 'split'>,
  kept: KeptTraining | null,
): Promise<boolean> {
  const { settings: chosen } = start;
  const stepsPerEpoch = Math.ceil(data.size / chosen.batchSize);
  const imagesInAll = data.size * chosen.epochs;
  const steps: StepPoint[] = [...(kept?.history.steps ?? [])];
  const epochs: EpochPoint[] = [...(kept?.history.epochs ?? [])];
  const watch = new LossWatch(model.classes.length);
  const started = performance.now();
  const imagesBefore = Math.round((steps.at(-1)?.at ?? 0) * data.size);
  let images = imagesBefore;
  let speed = 0;
  let redraw: ReturnType<typeof setTimeout> | undefined;

  const elapsedSeconds = (): number => (performance.now() - started - pausedFor) / 1000;
  const historyNow = (): History => ({
    planned: chosen.epochs,
    steps: [...steps],
    epochs: [...epochs],
    seconds: (kept ? secondsOf(kept.history) : 0) + elapsedSeconds(),
  });

  const draw = (): void => {
    redraw = undefined;
    history.value = historyNow();
    const share = images / imagesInAll;
    const elapsed = elapsedSeconds();
    progress.value = {
      epoch: Math.min(chosen.epochs, Math.floor(images / data.size) + 1),
      epochs: chosen.epochs,
      share,
      imagesPerSecond: speed,
      // By the clock, so that the validations still to come are counted in.
      secondsLeft: images > imagesBefore ? (elapsed / (images - imagesBefore)) * (imagesInAll - images) : Infinity,
    };
  };
  const drawSoon = (): void => {
    const { least, most, ofElapsed } = redrawEvery;
    redraw ??= setTimeout(draw, Math.min(Math.max(least, 1000 * elapsedSeconds() * ofElapsed), most));
  };
  const check = (divergence: Divergence | null): void => {
    if (!divergence || diverged.value) return;
    diverged.value = {
      epoch: divergence.epoch,
      learningRate: chosen.learningRate,
      suggestion: Number((chosen.learningRate / 10).toPrecision(3)),
    };
    stop();
  };
  const onStep = (step: StepEvent): void => {
    images += step.images;
    // A running mean over about the last ten steps.
    speed = speed === 0 ? step.imagesPerSecond : speed * 0.9 + step.imagesPerSecond * 0.1;
    steps.push({ at: step.step / stepsPerEpoch, loss: step.loss });
    check(watch.step(step.epoch, step.loss));
    drawSoon();
  };
  const onEpoch = (event: EpochEvent): void => {
    epochs.push({
      epoch: event.epoch,
      trainLoss: event.trainLoss,
      trainAccuracy: event.trainAccuracy,
      validationLoss: event.valLoss ?? null,
      validationAccuracy: event.valAccuracy ?? null,
      seconds: event.seconds,
    });
    check(watch.epoch(event.epoch, event.trainLoss));
    drawSoon();
    announceEpoch(event, chosen.epochs);
  };

  const stateBytes = model.summary().parameters * stateBytesPerParameter;
  const stateSeconds = Math.max(secondsBetweenStates, stateBytes / stateBytesPerSecond);
  run = model.train(data, {
    ...trainSettings(chosen),
    keep: 'best',
    // Without images that are held out no epoch is known to be better.
    ...(val.size > 0 && { val, patience: chosen.patience }),
    ...(kept && { resumeFrom: kept.state }),
    onResume: ({ inexact }) => {
      isInexact.value = inexact !== undefined;
    },
    onPrepare: (at) => {
      progress.value = null;
      preparing.value = at;
    },
    onFirstAnswer: ({ valAccuracy }) => {
      lendModel(model);
      firstAnswer.value = { seconds: (performance.now() - startedAt) / 1000, accuracy: valAccuracy ?? null };
      announce('A first answer is there, by the nearest class mean. The training goes on.');
    },
    onStep,
    onEpoch,
    stateSeconds,
    leastStateSeconds: chosen.epochs * stateBytes > mostStateBytes ? stateSeconds : leastSecondsBetweenStates,
    onState: ({ state }) => {
      keptTraining.value = {
        ...start,
        state,
        history: historyNow(),
      };
    },
  });
  draw();
  if (stopAsked) run.stop();
  try {
    const ended = await run;
    bestEpoch.value = ended.bestEpoch ?? null;
    return ended.stopped;
  } catch (error) {
    // The core ends a training whose loss is no number any more.
    if (!/not a finite number/.test(messageOf(error))) throw error;
    check({ epoch: epochs.length + 1, loss: NaN });
    // With a validation part the engine went back to the best epoch before; without one, or without a whole epoch, there is none.
    if (val.size === 0 || epochs.length === 0) throw error;
    bestEpoch.value = bestOf(epochs);
    return true;
  } finally {
    clearTimeout(redraw);
    draw();
  }
}

/** By the engine's rule: the highest validation accuracy; of equals, the lowest loss; of those, the first. */
function bestOf(epochs: readonly EpochPoint[]): number {
  const best = epochs.reduce((a, b) => {
    const [accuracyA, accuracyB] = [a.validationAccuracy ?? 0, b.validationAccuracy ?? 0];
    const isBetter =
      accuracyB > accuracyA ||
      (accuracyB === accuracyA && (b.validationLoss ?? Infinity) < (a.validationLoss ?? Infinity));
    return isBetter ? b : a;
  });
  return best.epoch;
}

let announcedAt = 0;

/** Not more often than a screen reader can speak. */
function announceEpoch({ epoch, trainAccuracy, valAccuracy }: EpochEvent, epochs: number): void {
  const now = performance.now();
  // An epoch that ends as one pauses or stops does not talk over that.
  if (phase.value !== 'training' || now - announcedAt < 4000) return;
  announcedAt = now;
  const accuracy =
    valAccuracy === undefined
      ? `training accuracy ${percent(trainAccuracy)}`
      : `validation accuracy ${percent(valAccuracy)}`;
  announce(
    `Epoch ${epoch} of ${epochs}: ${accuracy}${progress.value ? `, ${duration(progress.value.secondsLeft)} left` : ''}.`,
  );
}

async function reportOf(
  model: Model,
  val: Dataset,
  learned: readonly PhotoClass[],
  { batchSize }: Settings,
): Promise<Report> {
  const flat = await model.predictAll(val, { batchSize });
  const answers = answersOf(await photosIn(val), flat, learned.length);
  const { total, ...scores } = scoresOf(answers, learned.length);
  return {
    classes: learned.map(({ id, name }) => ({ id, name })),
    answers,
    images: total,
    ...scores,
    temperature: fitTemperature(answers),
    threshold: fitThreshold(answers),
  };
}

/** Joins the training record in the saved file, in native_train's words where it has one. */
function recordOf(of: Report): Record<string, unknown> {
  // JSON has no NaN.
  const byClass = (values: readonly number[]): Record<string, number | null> =>
    Object.fromEntries(of.classes.map(({ name }, c) => [name, Number.isNaN(values[c]) ? null : (values[c] ?? null)]));
  const { low, high } = wilson(of.right, of.images);
  return {
    validation: {
      images: of.images,
      loss: of.loss,
      accuracy: of.accuracy,
      accuracy_interval_95: [low, high],
      precision: byClass(of.precision),
      recall: byClass(of.recall),
      confusion: of.confusion,
    },
    calibration: {
      temperature: of.temperature,
      threshold: of.threshold.value,
      threshold_answered: of.threshold.answered,
      threshold_accuracy: of.threshold.accuracy,
    },
  };
}
