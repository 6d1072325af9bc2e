// Cross-validation for small sets: every image is tested once, by a model that has not seen it.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { crossValidate, mostForFolds, stopCrossValidation } from '../actions/crossValidation';
import { wilson } from '../evaluation/interval';
import { crossValidation, isBusy, photoCount, phase } from '../state';
import { Errors } from './Notice';
import { percent, plural, share } from './words';

export function CrossValidationPart(): JSX.Element | null {
  const [folds, setFolds] = useState(5);
  const state = crossValidation.value;
  const isRunning = phase.value === 'validating';
  if (photoCount.value > mostForFolds && !state) return null;
  return (
    <section class="stack" aria-labelledby="folds-title">
      <h4 id="folds-title">Cross-validation</h4>
      {isRunning && state ? (
        <div class="working">
          <div
            class="progress"
            role="progressbar"
            aria-label="Cross-validation"
            aria-valuemin={0}
            aria-valuemax={state.folds}
            aria-valuenow={state.accuracies.length}
          >
            <div class="progress__bar" style={{ '--share': state.accuracies.length / state.folds }} />
          </div>
          <div class="row">
            <span class="small numbers">
              Fold {Math.min(state.folds, state.accuracies.length + 1)} of {state.folds}
            </span>
            <button type="button" class="button button--small" onClick={stopCrossValidation}>
              Stop
            </button>
          </div>
        </div>
      ) : (
        <>
          <p class="soft small">
            With few images one held-out part is a matter of luck. Here every image is held out once, and the model
            trained anew each time.
          </p>
          <div class="row">
            <label class="small" for="folds">
              Folds
            </label>
            <select
              id="folds"
              class="select--small"
              value={folds}
              disabled={isBusy.value}
              onChange={(event) => setFolds(Number(event.currentTarget.value))}
            >
              {[3, 5, 10].map((count) => (
                <option key={count} value={count} disabled={count > photoCount.value}>
                  {count}
                </option>
              ))}
            </select>
            <button
              type="button"
              class="button button--small"
              disabled={isBusy.value}
              onClick={() => void crossValidate(folds)}
            >
              Cross-validate
            </button>
          </div>
        </>
      )}
      <Errors place="evaluation" />
      {state && !state.running && <Result />}
    </section>
  );
}

function Result(): JSX.Element | null {
  const state = crossValidation.value;
  if (!state || state.images === 0) return null;
  const accuracy = state.right / state.images;
  const { low, high } = wilson(state.right, state.images);
  const mean = state.accuracies.reduce((sum, one) => sum + one, 0) / state.accuracies.length;
  const deviation = Math.sqrt(
    state.accuracies.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(1, state.accuracies.length - 1),
  );
  return (
    <div>
      <p class="numbers">
        <strong>{percent(accuracy)}</strong> of {plural(state.images, 'image')}: {share(accuracy)}, between {share(low)}{' '}
        and {share(high)}
      </p>
      <p class="soft small numbers">
        Folds: {state.accuracies.map((one) => percent(one, 0)).join(', ')} (deviation {share(deviation)}).
      </p>
    </div>
  );
}
