// Step 2: choose a model, train it, see how good it is.
import type { JSX } from 'preact';
import { obstacle } from '../actions/settings';
import { stop, train } from '../actions/training';
import { engineState, history, isBusy, phase, preparing, progress, reading, report } from '../state';
import { Curves } from './Curves';
import { EvaluationReport } from './EvaluationReport';
import { Icon } from './Icon';
import { ModelChoice } from './ModelChoice';
import { Errors, Notice } from './Notice';
import { Panel } from './Panel';
import { AdvancedSettings } from './AdvancedSettings';
import { duration, percent, rate } from './words';

export function TrainPanel(): JSX.Element {
  return (
    <Panel id="train" number={2} title="Train" summary={summary()}>
      <ModelChoice />
      <AdvancedSettings />
      <TrainButton />
      <Errors place="training" />
      <Outcome />
      {history.value.steps.length > 0 && <Curves />}
      {report.value && <EvaluationReport report={report.value} />}
    </Panel>
  );
}

function summary(): string | null {
  if (phase.value === 'preparing') return 'Preparing';
  if (progress.value) return `Epoch ${progress.value.epoch} of ${progress.value.epochs}`;
  return null;
}

function TrainButton(): JSX.Element {
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
        aria-describedby={reason ? 'train-reason' : undefined}
        onClick={() => void train()}
      >
        <Icon name="play" />
        {phase.value === 'idle' ? 'Train' : 'Train again'}
      </button>
      {reason && (
        <p class="soft small" id="train-reason">
          {reason}
        </p>
      )}
    </div>
  );
}

function Running(): JSX.Element {
  const at = progress.value;
  const images = preparing.value;
  const isPreparing = phase.value === 'preparing' || !at;
  const share = isPreparing ? (images ? images.done / images.total : 0) : at.share;
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
      <div class="row">
        <span class="numbers small">
          {isPreparing ? (
            `Preparing the images${images ? `: ${images.done} of ${images.total}` : ''}`
          ) : at.share >= 1 ? (
            'Evaluating'
          ) : (
            <>
              {percent(at.share, 0)} · {rate(at.imagesPerSecond)} · {duration(at.secondsLeft)} left
            </>
          )}
        </span>
        <button
          type="button"
          class="button button--small working__stop"
          disabled={phase.value === 'stopping'}
          onClick={stop}
        >
          <Icon name="stop" />
          {phase.value === 'stopping' ? 'Stopping…' : 'Stop'}
        </button>
      </div>
    </div>
  );
}

function Outcome(): JSX.Element | null {
  const epochs = history.value.epochs;
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  if (phase.value === 'stopped') {
    return (
      <Notice kind="info">
        <p>
          Stopped after {epochs.length === 1 ? '1 whole epoch' : `${epochs.length} whole epochs`}. The model keeps what
          it learned so far.
        </p>
      </Notice>
    );
  }
  if (phase.value === 'finished') {
    return (
      <Notice kind="info">
        <p>
          Trained in {seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds)}.{' '}
          <a href="#classify">Try it on a picture</a>.
        </p>
      </Notice>
    );
  }
  return null;
}
