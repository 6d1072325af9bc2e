// Loss and accuracy while training goes on, with the same numbers as a table for those who cannot see the lines.
import type { JSX } from 'preact';
import { history, type History } from '../state';
import { Chart, type ChartLine } from './Chart';
import { duration, percent } from './words';

export function Curves(): JSX.Element {
  const { planned, steps, epochs } = history.value;
  const last = epochs.at(-1);
  const hasValidation = epochs.some(({ validationLoss }) => validationLoss !== null);
  const loss = lossLines(history.value);
  const accuracy = accuracyLines(history.value);
  return (
    <div class="curves">
      <Chart
        title="Loss"
        end={planned}
        x={steps.map(({ at }) => at)}
        lines={hasValidation ? loss : loss.slice(0, 2)}
        summary={
          last
            ? `Training ${last.trainLoss.toFixed(3)}${last.validationLoss === null ? '' : `, validation ${last.validationLoss.toFixed(3)}`}`
            : 'First epoch'
        }
        format={(value) => String(Number(value.toPrecision(3)))}
      />
      <Chart
        title="Accuracy"
        end={planned}
        x={[0, ...epochs.map(({ epoch }) => epoch)]}
        lines={hasValidation ? accuracy : accuracy.slice(0, 1)}
        summary={
          last
            ? `Training ${percent(last.trainAccuracy)}${last.validationAccuracy === null ? '' : `, validation ${percent(last.validationAccuracy)}`}`
            : 'First epoch'
        }
        format={(value) => `${Math.round(value * 100)} %`}
        range={[0, 1]}
      />
      {epochs.length > 0 && (
        <details class="small">
          <summary>Numbers of every epoch</summary>
          <EpochTable epochs={epochs} hasValidation={hasValidation} />
        </details>
      )}
    </div>
  );
}

function lossLines({ steps, epochs }: History): ChartLine[] {
  // Epoch values stand at the end of their epoch, which is the place of its last step.
  const byEnd = new Map(epochs.map((epoch) => [epoch.epoch, epoch]));
  const atEnd = (pick: (epoch: History['epochs'][number]) => number | null): (number | null)[] =>
    steps.map(({ at }) => {
      const epoch = byEnd.get(at);
      return epoch ? pick(epoch) : null;
    });
  return [
    { name: 'each batch', colour: '--chart-faint', values: steps.map(({ loss }) => loss), isThin: true },
    { name: 'training', colour: '--chart-training', values: atEnd(({ trainLoss }) => trainLoss) },
    {
      name: 'validation',
      colour: '--chart-validation',
      values: atEnd(({ validationLoss }) => validationLoss),
      isDashed: true,
    },
  ];
}

function accuracyLines({ epochs }: History): ChartLine[] {
  return [
    {
      name: 'training',
      colour: '--chart-training',
      values: [null, ...epochs.map(({ trainAccuracy }) => trainAccuracy)],
    },
    {
      name: 'validation',
      colour: '--chart-validation',
      values: [null, ...epochs.map(({ validationAccuracy }) => validationAccuracy)],
      isDashed: true,
    },
  ];
}

function EpochTable({ epochs, hasValidation }: { epochs: History['epochs']; hasValidation: boolean }): JSX.Element {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Numbers of every epoch">
      <table>
        <thead>
          <tr>
            <th scope="col">Epoch</th>
            <th scope="col">Training loss</th>
            <th scope="col">Training accuracy</th>
            {hasValidation && <th scope="col">Validation loss</th>}
            {hasValidation && <th scope="col">Validation accuracy</th>}
            <th scope="col">Time</th>
          </tr>
        </thead>
        <tbody>
          {epochs.map((epoch) => (
            <tr key={epoch.epoch}>
              <th scope="row">{epoch.epoch}</th>
              <td>{epoch.trainLoss.toFixed(4)}</td>
              <td>{percent(epoch.trainAccuracy)}</td>
              {hasValidation && <td>{epoch.validationLoss?.toFixed(4)}</td>}
              {hasValidation && <td>{epoch.validationAccuracy === null ? '' : percent(epoch.validationAccuracy)}</td>}
              <td>{epoch.seconds < 10 ? `${epoch.seconds.toFixed(2)} s` : duration(epoch.seconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
