// How good the latest training is: there as soon as there is something to tell.
import type { JSX } from 'preact';
import { report } from '../state';
import { later } from './later';
import { Panel } from './Panel';

const EvaluationReport = later(() => import('./EvaluationReport').then((part) => part.EvaluationReport));

export function EvaluationPanel(): JSX.Element | null {
  if (!report.value) return null;
  return (
    <Panel id="evaluation" title="Evaluation">
      <EvaluationReport report={report.value} />
    </Panel>
  );
}
