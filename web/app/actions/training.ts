// Trains: brings the photos to the engine, runs the epochs there, keeps the curves, evaluates at the end.
// The page only listens; every number comes from the engine.
import type { Dataset, EpochEvent, Evaluation, Model, Pinhole, StepEvent, TrainingRun } from '../../engine/index';
import { duration, percent, plural } from '../components/words';
import { engine } from '../engine';
import { pixelsOf } from '../files/pixels';
import { offeredModel } from '../models';
import {
  classes,
  history,
  isBusy,
  phase,
  preparing,
  progress,
  reading,
  report,
  settings,
  type EpochPoint,
  type PhotoClass,
  type Settings,
  type StepPoint,
} from '../state';
import { announce } from './announce';
import { clearErrors, messageOf, showError } from './errors';
import { adoptModel } from './model';
import { obstacle } from './settings';

/** How often the page redraws while it trains, in milliseconds. */
const redrawEvery = 120;
/** Photos that are handed to the engine at a time. */
const photosAtOnce = 16;

let run: TrainingRun | null = null;
let stopAsked = false;

export async function train(): Promise<void> {
  if (isBusy.value || reading.value) return;
  clearErrors('training');
  const wrong = obstacle();
  if (wrong) {
    showError('training', wrong);
    return;
  }
  stopAsked = false;
  phase.value = 'preparing';
  progress.value = null;
  report.value = null;
  history.value = { planned: settings.value.epochs, steps: [], epochs: [] };
  announce('Preparing the images.');
  const chosen = settings.value;
  const learned = classes.value;
  const data: Dataset[] = [];
  let model: Model | undefined;
  try {
    const pinhole = await engine();
    const spec = offeredModel(chosen.model).spec;
    const names = learned.map(({ name }) => name);
    model = await pinhole.createModel(spec, { classes: names, seed: chosen.seed });
    const all = await datasetOf(pinhole, learned, model);
    data.push(all);
    if (stopAsked) {
      phase.value = 'idle';
      announce('Stopped before training began.');
      await model.dispose();
      return;
    }
    const { train: trainPart, val } = await all.split(chosen.validationSplit, chosen.seed);
    data.push(trainPart, val);
    // Training holds only the two parts from here on.
    await all.dispose();
    phase.value = 'training';
    announce(`Training on ${plural(trainPart.size, 'image')}.`);
    const stopped = await runEpochs(model, trainPart, val, chosen);
    const evaluation = val.size > 0 ? await model.evaluate(val, { batchSize: chosen.batchSize }) : null;
    if (evaluation) {
      report.value = reportOf(evaluation, names, val.size);
      model.training = { ...model.training, validation: validationRecord(evaluation, val.size) };
    }
    await adoptModel(model, { origin: 'trained', fileName: `${spec.name ?? chosen.model}.safetensors` });
    phase.value = stopped ? 'stopped' : 'finished';
    announce(
      `${stopped ? 'Training was stopped' : 'Training has finished'}.${evaluation ? ` Validation accuracy ${percent(evaluation.accuracy)}.` : ''}`,
    );
  } catch (error) {
    await model?.dispose().catch(() => undefined);
    phase.value = 'failed';
    showError('training', messageOf(error));
  } finally {
    run = null;
    progress.value = null;
    preparing.value = null;
    for (const part of data) void part.dispose().catch(() => undefined);
  }
}

/** Ends after the present step; what was learned so far is kept. */
export function stop(): void {
  if (!isBusy.value) return;
  stopAsked = true;
  if (phase.value === 'training') phase.value = 'stopping';
  run?.stop();
}

async function datasetOf(pinhole: Pinhole, learned: readonly PhotoClass[], model: Model): Promise<Dataset> {
  const { input } = model.spec;
  const dataset = await pinhole.createDataset({ classes: model.classes, input });
  const photos = learned.flatMap((one, label) => one.photos.map((photo) => ({ photo, label })));
  for (let start = 0; start < photos.length && !stopAsked; start += photosAtOnce) {
    const some = photos.slice(start, start + photosAtOnce);
    const items = [];
    for (const { photo, label } of some) {
      items.push({ image: await pixelsOf(pinhole, photo.file, photo.name, input), label, name: photo.name });
    }
    const { skipped } = await dataset.addMany(items);
    if (skipped[0]) throw new Error(`${skipped[0].name}: ${skipped[0].reason}`);
    preparing.value = { done: start + some.length, total: photos.length };
  }
  return dataset;
}

/** True when it was stopped. */
async function runEpochs(model: Model, data: Dataset, val: Dataset, chosen: Settings): Promise<boolean> {
  const stepsPerEpoch = Math.ceil(data.size / chosen.batchSize);
  const imagesInAll = data.size * chosen.epochs;
  const steps: StepPoint[] = [];
  const epochs: EpochPoint[] = [];
  const started = performance.now();
  let images = 0;
  let speed = 0;
  let redraw: ReturnType<typeof setTimeout> | undefined;

  const draw = (): void => {
    redraw = undefined;
    history.value = { planned: chosen.epochs, steps: [...steps], epochs: [...epochs] };
    const share = images / imagesInAll;
    const elapsed = (performance.now() - started) / 1000;
    progress.value = {
      epoch: Math.min(chosen.epochs, Math.floor(images / data.size) + 1),
      epochs: chosen.epochs,
      share,
      imagesPerSecond: speed,
      // By the clock, so that the validations still to come are counted in.
      secondsLeft: share > 0 ? (elapsed / share) * (1 - share) : Infinity,
    };
  };
  const drawSoon = (): void => {
    redraw ??= setTimeout(draw, redrawEvery);
  };
  const onStep = (step: StepEvent): void => {
    images += step.images;
    // A running mean over about the last ten steps.
    speed = speed === 0 ? step.imagesPerSecond : speed * 0.9 + step.imagesPerSecond * 0.1;
    steps.push({ at: step.step / stepsPerEpoch, loss: step.loss });
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
    drawSoon();
    announceEpoch(event, chosen.epochs);
  };

  run = model.train(data, {
    epochs: chosen.epochs,
    batchSize: chosen.batchSize,
    optimizer: chosen.optimizer,
    lr: chosen.learningRate,
    momentum: chosen.momentum,
    weightDecay: chosen.weightDecay,
    seed: chosen.seed,
    ...(val.size > 0 && { val }),
    onStep,
    onEpoch,
  });
  draw();
  if (stopAsked) run.stop();
  try {
    return (await run).stopped;
  } finally {
    clearTimeout(redraw);
    draw();
  }
}

let announcedAt = 0;

/** Not more often than a screen reader can speak. */
function announceEpoch({ epoch, trainAccuracy, valAccuracy }: EpochEvent, epochs: number): void {
  const now = performance.now();
  if (now - announcedAt < 4000) return;
  announcedAt = now;
  const accuracy =
    valAccuracy === undefined
      ? `training accuracy ${percent(trainAccuracy)}`
      : `validation accuracy ${percent(valAccuracy)}`;
  announce(
    `Epoch ${epoch} of ${epochs}: ${accuracy}${progress.value ? `, ${duration(progress.value.secondsLeft)} left` : ''}.`,
  );
}

function reportOf(
  { accuracy, confusion, perClass }: Evaluation,
  names: readonly string[],
  images: number,
): NonNullable<typeof report.value> {
  return {
    classes: names,
    images,
    accuracy,
    confusion,
    precision: perClass.map(({ precision }) => precision),
    recall: perClass.map(({ recall }) => recall),
  };
}

/** Joins the training record in the saved file, in native_train's words. */
function validationRecord({ loss, accuracy, perClass }: Evaluation, images: number): Record<string, unknown> {
  // JSON has no NaN.
  const byClass = (of: 'precision' | 'recall'): Record<string, number | null> =>
    Object.fromEntries(perClass.map((score) => [score.label, Number.isNaN(score[of]) ? null : score[of]]));
  return { images, loss, accuracy, precision: byClass('precision'), recall: byClass('recall') };
}
