// The page: a header and three steps. On a wide screen the steps stand side by side, on a narrow one below each other.
import type { JSX } from 'preact';
import { announcement } from '../state';
import { ClassifyPanel } from './ClassifyPanel';
import { DataPanel } from './DataPanel';
import { EvaluationPanel } from './EvaluationPanel';
import { Header, StepLinks } from './Header';
import { TrainPanel } from './TrainPanel';

export function App(): JSX.Element {
  return (
    <>
      <a class="skip-link" href="#data">
        Skip to the data
      </a>
      <Header />
      <StepLinks />
      <main class="steps">
        <DataPanel />
        <TrainPanel />
        <EvaluationPanel />
        <ClassifyPanel />
      </main>
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </div>
    </>
  );
}
