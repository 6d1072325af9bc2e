// Step 2: one button with settings that suit the images; behind "Advanced" everything can be set. Then the curves, and how good it is.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { changeSettings, obstacle } from '../actions/settings';
import { discardTraining, goOn, pause, resume, stop, train } from '../actions/training';
import { specFor, inputInWords, offeredModel } from '../models';
import {
  bestEpoch,
  diverged,
  engineState,
  firstAnswer,
  history,
  isBusy,
  isInexact,
  keptTraining,
  keptTrainingFits,
  phase,
  photoCount,
  preparing,
  progress,
  reading,
  secondsOf,
  settings,
} from '../state';
import { Curves } from './Curves';
import { EstimateLine } from './EstimateLine';
import { Icon } from './Icon';
import { later } from './later';
import { Errors, Notice } from './Notice';
import { Panel } from './Panel';
import { duration, percent, plural, rate } from './words';

const AdvancedSettings = later(() => import('./AdvancedSettings').then((part) => part.AdvancedSettings));

export function TrainPanel(): JSX.Element {
  return (
    <Panel id="train" number={2} title="Train" summary={summary()}>
      <Plan />
      <Advanced />
      <TrainButton />
      <Errors place="training" />
      <Diverged />
      <Outcome />
      <GoOn />
      {history.value.steps.length > 0 && <Curves />}
    </Panel>
  );
}

function Advanced(): JSX.Element {
  const [wasOpened, setOpened] = useState(false);
  return (
    <details class="advanced" onToggle={(event) => setOpened(wasOpened || event.currentTarget.open)}>
      <summary>Advanced</summary>
      {wasOpened && <AdvancedSettings />}
    </details>
  );
}

function summary(): string | null {
  if (phase.value === 'preparing') return 'Preparing';
  if (progress.value) return `Epoch ${progress.value.epoch} of ${progress.value.epochs}`;
  return null;
}

/** What the button will do. */
function Plan(): JSX.Element {
  const chosen = settings.value;
  const held = Math.round(photoCount.value * chosen.validationSplit);
  return (
    <div>
      <p class="plan">
        <strong>{offeredModel(chosen.model).name}</strong>
        <span class="soft"> at {inputInWords(specFor(chosen).input)}</span>
      </p>
      <p class="soft small">
        {chosen.patience > 0 && chosen.validationSplit > 0 && 'At most '}
        {plural(chosen.epochs, 'pass', 'passes')} over the images in batches of {chosen.batchSize}
        {photoCount.value > 0 &&
          (held > 0
            ? `; about ${plural(held, 'image')} ${held === 1 ? 'is' : 'are'} held out to test with`
            : '; nothing is held out to test with')}
        .
      </p>
    </div>
  );
}

function TrainButton(): JSX.Element | null {
  if (phase.value === 'validating') return null;
  if (isBusy.value) return <Running />;
  const reason =
    obstacle() ??
    (reading.value
      ? 'The images are still being read.'
      : engineState.value.status === 'failed'
        ? 'The engine could not start.'
        : null);
  return (
    <div class="train-button">
      <button
        type="button"
        class="button button--primary button--wide"
        disabled={reason !== null}
        aria-describedby={reason ? 'train-reason' : 'train-estimate'}
        onClick={() => void train()}
      >
        <Icon name="play" />
        {phase.value === 'idle' ? 'Train' : 'Train again'}
      </button>
      {reason ? (
        <p class="soft small" id="train-reason">
          {reason}
        </p>
      ) : (
        <EstimateLine />
      )}
    </div>
  );
}

function Running(): JSX.Element {
  const at = progress.value;
  const images = preparing.value;
  const isPreparing = phase.value === 'preparing' || !at;
  const share = isPreparing ? (images ? images.done / images.total : 0) : at.share;
  const isPaused = phase.value === 'paused';
  return (
    <div class="working">
      <div
        class="progress"
        role="progressbar"
        aria-label={isPreparing ? 'Images prepared' : 'Training'}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.floor(share * 100)}
      >
        <div class="progress__bar" style={{ '--share': share }} />
      </div>
      <p class="numbers small">
        {isPreparing ? (
          `Preparing the images${images ? `: ${images.done} of ${images.total}` : ''}`
        ) : at.share >= 1 ? (
          'Evaluating'
        ) : (
          <>
            {percent(at.share, 0)} · {isPaused ? 'paused' : rate(at.imagesPerSecond)} · {duration(at.secondsLeft)} left
          </>
        )}
      </p>
      <FirstAnswerLine />
      <InexactLine />
      <div class="row">
        {!isPreparing && (
          <button
            type="button"
            class="button button--small"
            disabled={phase.value === 'stopping' || at.share >= 1}
            onClick={isPaused ? resume : pause}
          >
            <Icon name={isPaused ? 'play' : 'pause'} />
            {isPaused ? 'Resume' : 'Pause'}
          </button>
        )}
        <button type="button" class="button button--small" disabled={phase.value === 'stopping'} onClick={stop}>
          <Icon name="stop" />
          {phase.value === 'stopping' ? 'Stopping…' : 'Stop'}
        </button>
      </div>
    </div>
  );
}

/** What is known before the first step. */
function FirstAnswerLine(): JSX.Element | null {
  const first = firstAnswer.value;
  if (!first) return null;
  return (
    <p class="numbers small soft">
      First answer after {first.seconds.toFixed(1)} s, by the nearest class mean
      {first.accuracy !== null && `: ${percent(first.accuracy)} of what is held out`}
    </p>
  );
}

/** What computed a part of the training, here or before the page was closed, computes otherwise than what goes on with it. */
function InexactLine(): JSX.Element | null {
  if (!isInexact.value) return null;
  return (
    <p class="small soft">
      Other kernels or another version of Pinhole computed a part of it, so its last digits differ from those of an
      uninterrupted training.
    </p>
  );
}

/** A training that has not finished, here or before the page was closed. */
function GoOn(): JSX.Element | null {
  const kept = keptTraining.value;
  if (!kept || isBusy.value) return null;
  const fits = keptTrainingFits.value;
  const done = kept.history.epochs.length;
  const { epochs } = kept.settings;
  if (phase.value === 'stopped') {
    return fits ? (
      <div class="row">
        <button type="button" class="button button--small" onClick={() => void goOn()}>
          <Icon name="play" />
          Go on after epoch {done} of {epochs}
        </button>
      </div>
    ) : null;
  }
  const where = `epoch ${Math.min(done + 1, epochs)} of ${epochs}`;
  return (
    <Notice kind="info">
      {fits ? (
        <p>A training was interrupted. It can go on where the curves below end, with the settings it began with.</p>
      ) : (
        <p>
          The training that was interrupted ({where}) cannot go on: its images or classes have changed since. Undo the
          changes, or train again.
        </p>
      )}
      <div class="row">
        {fits && (
          <button type="button" class="button button--small" onClick={() => void goOn()}>
            <Icon name="play" />
            Go on with the training that was interrupted ({where})
          </button>
        )}
        <button
          type="button"
          class="button button--quiet button--small"
          aria-label="Discard the training that was interrupted"
          onClick={discardTraining}
        >
          Discard
        </button>
      </div>
    </Notice>
  );
}

function Diverged(): JSX.Element | null {
  const what = diverged.value;
  if (!what || isBusy.value) return null;
  const again = (): void => {
    changeSettings({ learningRate: what.suggestion });
    void train();
  };
  return (
    <Notice kind="error">
      <p>
        The loss exploded in epoch {what.epoch}: with a learning rate of {what.learningRate} each step overshot, and the
        weights ran away.{' '}
        {bestEpoch.value
          ? `The model went back to epoch ${bestEpoch.value}, which was the best until then.`
          : 'There is no model to keep.'}{' '}
        A smaller learning rate takes smaller steps.
      </p>
      <button type="button" class="button button--small" onClick={again}>
        Train again with {what.suggestion}
      </button>
    </Notice>
  );
}

function Outcome(): JSX.Element | null {
  const { epochs, planned } = history.value;
  const seconds = secondsOf(history.value);
  const best = bestEpoch.value;
  const kept =
    best === null
      ? 'The model has the weights of the last step.'
      : best === 0
        ? 'No epoch was finished, so the model has the weights of the last step.'
        : `The model has the weights of epoch ${best}, the best on the images that were held out.`;
  if (diverged.value) return null;
  if (phase.value === 'stopped') {
    return (
      <Notice kind="info">
        <p>
          Stopped after {epochs.length === 1 ? '1 whole epoch' : `${epochs.length} whole epochs`}. {kept}
        </p>
        <FirstAnswerLine />
        <InexactLine />
      </Notice>
    );
  }
  if (phase.value === 'finished') {
    return (
      <Notice kind="info">
        <p>
          Trained in {seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds)}.{' '}
          {epochs.length < planned && `Ended early, after epoch ${epochs.length} of ${planned}. `}
          {kept} <a href="#classify">Try it on a picture</a>.
        </p>
        <FirstAnswerLine />
        <InexactLine />
      </Notice>
    );
  }
  return null;
}
