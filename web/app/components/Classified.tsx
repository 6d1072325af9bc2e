// What the model said: the picture in question with its probabilities, the latest ones to go back to, and all of them as a table.
import type { JSX } from 'preact';
import { bestOf, isSure, saveCsv, showPrediction, toggleHeatMap } from '../actions/classify';
import {
  classifying,
  currentModel,
  isCalibrated,
  predictions,
  shownPrediction,
  showsHeatMap,
  type Prediction,
} from '../state';
import { HeatMapOver } from './HeatMapOver';
import { Icon } from './Icon';
import { Probabilities } from './Probabilities';
import { percent, plural, share } from './words';

/** Pictures in the row below the result. */
const inRow = 12;
/** Rows of the table that are drawn; the CSV has all. */
const rowsShown = 200;

export function Classified(): JSX.Element | null {
  const all = predictions.value;
  const shown = all.find(({ id }) => id === shownPrediction.value);
  if (!shown) return null;
  return (
    <section class="stack" aria-label="Result" aria-busy={classifying.value !== null}>
      <div class="result">
        <div class="result__frame">
          <img class="result__picture" src={shown.picture} alt={shown.name} />
          <HeatMapOver prediction={shown} />
        </div>
        <Probabilities name={shown.name} probabilities={shown.probabilities} />
      </div>
      <div class="stack switches">
        <label class="switch small">
          <input type="checkbox" checked={showsHeatMap.value} onChange={toggleHeatMap} />
          Show what it looked at
        </label>
        <CalibratedSwitch />
      </div>
      {all.length > 1 && <Earlier all={all} shown={shown} />}
      {all.length > 1 && <Table all={all} />}
    </section>
  );
}

function CalibratedSwitch(): JSX.Element | null {
  const temperature = currentModel.value?.temperature ?? 1;
  if (temperature === 1) return null;
  return (
    <label class="switch small">
      <input
        type="checkbox"
        checked={isCalibrated.value}
        onChange={(event) => (isCalibrated.value = event.currentTarget.checked)}
      />
      Calibrated probabilities (temperature {share(temperature)})
    </label>
  );
}

function Earlier({ all, shown }: { all: readonly Prediction[]; shown: Prediction }): JSX.Element {
  return (
    <ul class="earlier" aria-label="Classified pictures">
      {all.slice(0, inRow).map((one) => (
        <li key={one.id}>
          <button
            type="button"
            class="earlier__one"
            aria-pressed={one === shown}
            aria-label={`Show ${one.name}`}
            title={one.name}
            onClick={() => showPrediction(one.id)}
          >
            <img src={one.picture} alt="" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Table({ all }: { all: readonly Prediction[] }): JSX.Element {
  return (
    <details>
      <summary>All {plural(all.length, 'picture')} as a table</summary>
      <div class="stack all-classified">
        <div class="row">
          <button type="button" class="button button--small" onClick={saveCsv}>
            <Icon name="download" />
            Save as CSV
          </button>
          {all.length > rowsShown && (
            <span class="soft small">The latest {rowsShown} are shown; the file has all.</span>
          )}
        </div>
        <div class="table-scroll all-classified__table" tabIndex={0} role="region" aria-label="All classified pictures">
          <table>
            <thead>
              <tr>
                <th scope="col">Picture</th>
                <th scope="col">Label</th>
                <th scope="col">Probability</th>
              </tr>
            </thead>
            <tbody>
              {all.slice(0, rowsShown).map((one) => {
                const best = bestOf(one.probabilities);
                return (
                  <tr key={one.id}>
                    <th scope="row">
                      <button type="button" class="link" onClick={() => showPrediction(one.id)}>
                        {one.name}
                      </button>
                    </th>
                    <td>{isSure(best) ? best.label : `not sure (${best.label}?)`}</td>
                    <td>{percent(best.probability)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </div>
    </details>
  );
}
