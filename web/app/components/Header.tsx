// What this is, that nothing leaves it, and what it runs on; and the way to each step.
import type { JSX } from 'preact';
import { currentModel, engineState, isBusy, photoCount, progress, report, sent } from '../state';
import { Icon } from './Icon';
import { percent, plural } from './words';

export function Header(): JSX.Element {
  return (
    <header class="header">
      <div class="header__brand">
        <Logo />
        <div>
          <h1>Pinhole</h1>
          <p class="soft">Train an image classifier in this tab.</p>
        </div>
      </div>
      <ul class="header__facts">
        <PrivacyFact />
        <EngineFact />
      </ul>
    </header>
  );
}

function EngineFact(): JSX.Element {
  const state = engineState.value;
  switch (state.status) {
    case 'starting':
      return <li class="fact fact--waiting">Starting the engine…</li>;
    case 'failed':
      return (
        <li class="fact fact--failed" role="alert">
          <Icon name="alert" />
          The engine could not start: {state.message}
        </li>
      );
    case 'ready':
      return (
        <li class="fact" title={state.details}>
          <Icon name="chip" />
          <span>
            <span class="visually-hidden">Runs on </span>
            {state.runs}
          </span>
          {!globalThis.crossOriginIsolated && (
            <span class="fact__note">One thread only: this address does not send the headers that threads need.</span>
          )}
        </li>
      );
  }
}

/** The promise, and the number that proves it. */
function PrivacyFact(): JSX.Element {
  const { bytes, requests, refused, measuredBy } = sent.value;
  return (
    <li class="fact">
      <Icon name="shield" />
      <details class="fact__more">
        <summary>
          Your photos never leave this device:{' '}
          <span class="numbers">
            {measuredBy
              ? `${bytes.toLocaleString('en')} bytes sent since it loaded`
              : 'counting begins when it has loaded'}
          </span>
        </summary>
        <div class="fact__details">
          <p>
            {plural(requests, 'request')} left this device since the page was ready, {refused === 0 ? 'none' : refused}{' '}
            had to be refused.
          </p>
          <p>
            {measuredBy === 'page'
              ? 'Counted from the browser’s own list of this page’s requests.'
              : 'Counted by the page’s service worker, which sees every request of the page and its workers.'}{' '}
            The page’s Content-Security-Policy allows no address but its own. Once loaded, it works without a network:
            try it in airplane mode.
          </p>
        </div>
      </details>
    </li>
  );
}

/** On narrow screens, where the steps stand below each other. */
export function StepLinks(): JSX.Element {
  const model = currentModel.value;
  const training = isBusy.value
    ? progress.value
      ? percent(progress.value.share, 0)
      : 'starting'
    : report.value
      ? percent(report.value.accuracy, 0)
      : null;
  const steps = [
    { id: 'data', name: 'Data', state: photoCount.value > 0 ? plural(photoCount.value, 'image') : null },
    { id: 'train', name: 'Train', state: training },
    { id: 'classify', name: 'Classify', state: model ? plural(model.classes.length, 'class', 'classes') : null },
  ];
  return (
    <nav class="step-links" aria-label="Steps">
      {steps.map(({ id, name, state }) => (
        <a key={id} href={`#${id}`}>
          <strong>{name}</strong>
          {state && <span class="soft numbers">{state}</span>}
        </a>
      ))}
    </nav>
  );
}

function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#1d1b18" />
      <path d="M4 7 15 15.2v1.6L4 25z" fill="#f2b42c" />
      <path d="M28 10 17 15.2v1.6L28 22z" fill="#f2b42c" opacity=".55" />
      <circle cx="16" cy="16" r="2.6" fill="#fff8e6" />
    </svg>
  );
}
