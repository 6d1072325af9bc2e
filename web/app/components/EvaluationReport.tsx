// How good the model is on the images it was not trained with.
import type { JSX } from 'preact';
import type { Report } from '../state';
import { percent, plural } from './words';

export function EvaluationReport({ report }: { report: Report }): JSX.Element {
  const right = report.confusion.reduce((sum, row, label) => sum + (row[label] ?? 0), 0);
  return (
    <section class="stack report" aria-labelledby="report-title">
      <div>
        <h3 id="report-title">Validation accuracy</h3>
        <p class="report__accuracy numbers">
          <strong>{percent(report.accuracy)}</strong>
          <span class="soft">
            {right} of {plural(report.images, 'image')} it was not trained with
          </span>
        </p>
      </div>
      <Confusion report={report} />
      <PerClass report={report} />
    </section>
  );
}

function Confusion({ report: { classes, confusion } }: { report: Report }): JSX.Element {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Confusion matrix">
      <table class="confusion" style={{ '--classes': classes.length }}>
        <caption>
          Confusion matrix
          <br />
          <span class="soft small">Rows: what it is. Columns: what the model said.</span>
        </caption>
        <thead>
          <tr>
            <td />
            {classes.map((name) => (
              <th key={name} scope="col" title={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {confusion.map((row, label) => {
            const total = row.reduce((sum, count) => sum + count, 0);
            return (
              <tr key={classes[label]}>
                <th scope="row" title={classes[label]}>
                  {classes[label]}
                </th>
                {row.map((count, predicted) => (
                  <td
                    key={classes[predicted]}
                    class={`confusion__cell ${label === predicted ? 'confusion__cell--right' : 'confusion__cell--wrong'}`}
                    style={{ '--strength': total > 0 ? count / total : 0 }}
                  >
                    {count}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function PerClass({ report: { classes, precision, recall } }: { report: Report }): JSX.Element {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Precision and recall">
      <table>
        <caption>Precision and recall</caption>
        <thead>
          <tr>
            <th scope="col">Class</th>
            <th scope="col" title="Of what was called this class, the part that is">
              Precision
            </th>
            <th scope="col" title="Of what is this class, the part that was found">
              Recall
            </th>
          </tr>
        </thead>
        <tbody>
          {classes.map((name, index) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{percent(precision[index] ?? Number.NaN)}</td>
              <td>{percent(recall[index] ?? Number.NaN)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
