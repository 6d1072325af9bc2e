// k-fold cross-validation: with few images a single held-out part says little, so each fold is held out once and the model trained
// anew on the others. The model in use stays as it is.
import type { Dataset, Model, TrainingRun } from '../../engine/index';
import { percent } from '../components/words';
import { engine } from '../engine';
import { answersOf, scoresOf } from '../evaluation/answers';
import { stratifiedFolds } from '../evaluation/folds';
import { modelOptions, specFor } from '../models';
import { trainSettings } from '../recipe';
import { classes, crossValidation, isBusy, phase, reading, settings } from '../state';
import { announce } from './announce';
import { datasetOf, photosIn } from './dataset';
import { clearErrors, messageOf, showError } from './errors';
import { obstacle } from './settings';

/** Beyond so many images one held-out part is large enough, and k trainings take too long. */
export const mostForFolds = 500;

let run: TrainingRun | null = null;
let stopAsked = false;

export async function crossValidate(folds: number): Promise<void> {
  if (isBusy.value || reading.value) return;
  const wrong = obstacle();
  if (wrong) {
    showError('evaluation', wrong);
    return;
  }
  clearErrors('evaluation');
  stopAsked = false;
  const phaseBefore = phase.value;
  phase.value = 'validating';
  const chosen = settings.value;
  const learned = classes.value;
  const held: { dispose: () => Promise<void> }[] = [];
  const keep = <Thing extends Dataset | Model>(thing: Thing): Thing => {
    held.push(thing);
    return thing;
  };
  let done = { folds, accuracies: [] as readonly number[], right: 0, images: 0, running: true };
  crossValidation.value = done;
  announce(`Cross-validation with ${folds} folds has begun.`);
  try {
    const pinhole = await engine();
    const spec = specFor(chosen);
    const names = learned.map(({ name }) => name);
    const all = keep(
      await datasetOf(pinhole, learned, { input: spec.input, onProgress: () => undefined, stopped: () => stopAsked }),
    );
    const photos = await photosIn(all);
    for (const fold of stratifiedFolds(
      photos.map(({ label }) => label),
      folds,
      chosen.seed,
    )) {
      if (stopAsked) break;
      const [train, val] = [keep(await all.subset(fold.train)), keep(await all.subset(fold.val))];
      const model = keep(
        await pinhole.createModel(spec, await modelOptions(spec, { classes: names, seed: chosen.seed })),
      );
      // The last weights, not the best on the fold: choosing by it would flatter the result.
      run = model.train(train, trainSettings(chosen));
      await run;
      if (stopAsked) break;
      const flat = await model.predictAll(val, { batchSize: chosen.batchSize });
      const { right, total, accuracy } = scoresOf(answersOf(await photosIn(val), flat, names.length), names.length);
      done = {
        ...done,
        accuracies: [...done.accuracies, accuracy],
        right: done.right + right,
        images: done.images + total,
      };
      crossValidation.value = done;
      for (const thing of held.splice(1)) await thing.dispose();
    }
    crossValidation.value = stopAsked ? null : { ...done, running: false };
    announce(
      stopAsked
        ? 'Cross-validation was stopped.'
        : `Cross-validation has finished. Accuracy ${percent(done.right / done.images)}.`,
    );
  } catch (error) {
    crossValidation.value = null;
    showError('evaluation', messageOf(error));
  } finally {
    run = null;
    phase.value = phaseBefore;
    for (const thing of held) void thing.dispose().catch(() => undefined);
  }
}

export function stopCrossValidation(): void {
  stopAsked = true;
  run?.stop();
}
