// The confusion matrix. Every cell with images in it is a button that shows them.
import type { JSX } from 'preact';
import type { Report } from '../state';
import { plural } from './words';

export interface Cell {
  readonly label: number;
  readonly predicted: number;
}

interface Properties {
  readonly report: Report;
  readonly chosen: Cell | null;
  readonly onChoose: (cell: Cell | null) => void;
}

export function Confusion({ report: { classes, confusion }, chosen, onChoose }: Properties): JSX.Element {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Confusion matrix">
      <table class="confusion" style={{ '--classes': classes.length }}>
        <caption>
          Confusion matrix
          <br />
          <span class="soft small">
            Rows: what it is. Columns: what the model said. Press a number to see its images.
          </span>
        </caption>
        <thead>
          <tr>
            <td />
            {classes.map(({ id, name }) => (
              <th key={id} scope="col" title={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {confusion.map((row, label) => {
            const total = row.reduce((sum, count) => sum + count, 0);
            const is = classes[label]?.name ?? '';
            return (
              <tr key={classes[label]?.id}>
                <th scope="row" title={is}>
                  {is}
                </th>
                {row.map((count, predicted) => {
                  const isChosen = chosen?.label === label && chosen.predicted === predicted;
                  return (
                    <td
                      key={classes[predicted]?.id}
                      class={`confusion__cell ${label === predicted ? 'confusion__cell--right' : 'confusion__cell--wrong'}`}
                      style={{ '--strength': total > 0 ? count / total : 0 }}
                    >
                      {count === 0 ? (
                        0
                      ) : (
                        <button
                          type="button"
                          class="confusion__show"
                          aria-expanded={isChosen}
                          aria-label={`${plural(count, 'image')} of ${is} called ${classes[predicted]?.name}`}
                          onClick={() => onChoose(isChosen ? null : { label, predicted })}
                        >
                          {count}
                        </button>
                      )}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
