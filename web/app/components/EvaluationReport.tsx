// How good the model is on the images it was not trained with, and which images make it so.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { train } from '../actions/training';
import { argmax, mistakesOf } from '../evaluation/answers';
import { wilson } from '../evaluation/interval';
import { bestEpoch, dataHasChanged, isBusy, type Report } from '../state';
import { Calibration } from './Calibration';
import { Confusion, type Cell } from './Confusion';
import { CrossValidationPart } from './CrossValidationPart';
import { Icon } from './Icon';
import { JudgedPhotos } from './JudgedPhotos';
import { Notice } from './Notice';
import { percent, plural, share } from './words';

/** The most confidently wrong images that are shown. */
const shownMistakes = 8;

export function EvaluationReport({ report }: { report: Report }): JSX.Element {
  const [cell, setCell] = useState<Cell | null>(null);
  const { low, high } = wilson(report.right, report.images);
  const mistakes = mistakesOf(report.answers);
  return (
    <section class="stack report" aria-labelledby="report-title">
      <div>
        <h3 id="report-title">Validation accuracy</h3>
        <p class="report__accuracy numbers">
          <strong>{percent(report.accuracy)}</strong>
          <span class="soft">
            {report.right} of {plural(report.images, 'image')} it was not trained with
          </span>
        </p>
        <p class="numbers" id="report-interval">
          {share(report.accuracy)}, between {share(low)} and {share(high)} with {plural(report.images, 'image')}
        </p>
        <p class="soft small">
          95 times out of 100 the accuracy on new images of this kind lies in that range
          {bestEpoch.value ? '; a little lower, because the best epoch was chosen on these very images' : ''}. More
          images make it narrower.
        </p>
      </div>
      {dataHasChanged.value && !isBusy.value && <Stale />}
      <Confusion report={report} chosen={cell} onChoose={setCell} />
      {cell && <CellPhotos report={report} cell={cell} onClose={() => setCell(null)} />}
      <PerClass report={report} />
      <section class="stack" aria-labelledby="mistakes-title">
        <h4 id="mistakes-title">Most confidently wrong</h4>
        {mistakes.length === 0 ? (
          <p class="soft small">There is none: every image that was held out was recognised.</p>
        ) : (
          <JudgedPhotos
            report={report}
            label="Most confidently wrong"
            answers={mistakes.slice(0, shownMistakes).map(({ answer }) => answer)}
          />
        )}
      </section>
      <Calibration report={report} />
      <CrossValidationPart />
    </section>
  );
}

function Stale(): JSX.Element {
  return (
    <Notice kind="info">
      <p>The images have changed since this training.</p>
      <button type="button" class="button button--small" onClick={() => void train()}>
        <Icon name="play" />
        Train with the changes
      </button>
    </Notice>
  );
}

function CellPhotos({ report, cell, onClose }: { report: Report; cell: Cell; onClose: () => void }): JSX.Element {
  const { label, predicted } = cell;
  const is = report.classes[label]?.name ?? '';
  const said = report.classes[predicted]?.name ?? '';
  const title = label === predicted ? `${is}, recognised` : `${is}, taken for ${said}`;
  const answers = report.answers
    .filter((one) => one.label === label && argmax(one.probabilities) === predicted)
    .sort((a, b) => (b.probabilities[predicted] ?? 0) - (a.probabilities[predicted] ?? 0));
  return (
    <section class="stack cell-photos" aria-labelledby="cell-title">
      <div class="row cell-photos__head">
        <h4 id="cell-title" tabIndex={-1} ref={(heading) => heading?.focus()}>
          {title}
        </h4>
        <button
          type="button"
          class="button button--quiet button--icon"
          aria-label="Close these images"
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </div>
      <JudgedPhotos report={report} label={title} answers={answers} />
    </section>
  );
}

function PerClass({ report: { classes, confusion, precision, recall } }: { report: Report }): JSX.Element {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Precision and recall">
      <table>
        <caption>Precision and recall</caption>
        <thead>
          <tr>
            <th scope="col">Class</th>
            <th scope="col" title="How many were held out">
              Images
            </th>
            <th scope="col" title="Of what was called this class, the part that is">
              Precision
            </th>
            <th scope="col" title="Of what is this class, the part that was found">
              Recall
            </th>
          </tr>
        </thead>
        <tbody>
          {classes.map(({ id, name }, index) => (
            <tr key={id}>
              <th scope="row">{name}</th>
              <td>{confusion[index]?.reduce((sum, count) => sum + count, 0)}</td>
              <td>{percent(precision[index] ?? Number.NaN)}</td>
              <td>{percent(recall[index] ?? Number.NaN)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
