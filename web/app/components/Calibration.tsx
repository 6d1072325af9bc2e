// Is it right as often as it is sure? A reliability curve before and after temperature scaling, with its numbers as a table.
import type { JSX } from 'preact';
import { reliabilityOf, type Bin } from '../evaluation/calibration';
import type { Report } from '../state';
import { percent, plural, share } from './words';

/** Fewer images than this for each bin say nothing. */
const imagesPerBin = 8;

export function Calibration({ report: { answers, temperature, threshold, images } }: { report: Report }): JSX.Element {
  const binCount = Math.max(3, Math.min(10, Math.round(images / imagesPerBin)));
  const before = reliabilityOf(answers, 1, binCount);
  const after = reliabilityOf(answers, temperature, binCount);
  const verdict =
    temperature > 1.05 ? 'too sure of itself' : temperature < 0.95 ? 'too modest' : 'about as sure as it is right';
  const summary = `The model is ${verdict}: sure and right differ by ${percent(before.error)} on average, with a temperature of ${share(temperature)} by ${percent(after.error)}`;
  return (
    <section class="stack" aria-labelledby="calibration-title">
      <h4 id="calibration-title">Is it as right as it is sure?</h4>
      <div class="calibration">
        <Curve before={before.bins} after={after.bins} summary={summary} />
        <div class="stack calibration__words small">
          <ul class="chart__legend" aria-hidden="true">
            <li class="chart__key">
              <span class="chart__line" style={{ '--line-colour': 'var(--chart-training)' }} />
              as it is
            </li>
            <li class="chart__key">
              <span class="chart__line chart__line--dashed" style={{ '--line-colour': 'var(--chart-validation)' }} />
              temperature {share(temperature)}
            </li>
          </ul>
          <p class="numbers">{summary}.</p>
          <p class="numbers soft">
            {threshold.value === 0
              ? `It answers every image, and ${percent(threshold.accuracy, 0)} of its answers are right.`
              : `Below ${percent(threshold.value)} it says "not sure": then it answers ${percent(threshold.answered, 0)} of the images and is right in ${percent(threshold.accuracy, 0)} of these.`}
          </p>
        </div>
      </div>
      <details class="small">
        <summary>Numbers of the reliability curve</summary>
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Numbers of the reliability curve">
          <table>
            <thead>
              <tr>
                <th scope="col">It was</th>
                <th scope="col">Images</th>
                <th scope="col">Sure</th>
                <th scope="col">Right</th>
                <th scope="col">Sure, scaled</th>
              </tr>
            </thead>
            <tbody>
              {before.bins.map((bin) => {
                const scaled = after.bins.find(({ from }) => from === bin.from);
                return (
                  <tr key={bin.from}>
                    <th scope="row">
                      {percent(bin.from, 0)} to {percent(bin.to, 0)} sure
                    </th>
                    <td>{bin.count}</td>
                    <td>{percent(bin.confidence)}</td>
                    <td>{percent(bin.accuracy)}</td>
                    <td>{scaled ? `${percent(scaled.confidence)} (${plural(scaled.count, 'image')})` : '–'}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </details>
    </section>
  );
}

interface CurveProperties {
  readonly before: readonly Bin[];
  readonly after: readonly Bin[];
  readonly summary: string;
}

const side = 100;

function Curve({ before, after, summary }: CurveProperties): JSX.Element {
  const at = ({ confidence, accuracy }: Bin): string =>
    `${(confidence * side).toFixed(1)},${((1 - accuracy) * side).toFixed(1)}`;
  return (
    <figure class="reliability">
      <svg viewBox={`-14 -4 ${side + 20} ${side + 20}`} role="img" aria-label={`Reliability curve. ${summary}.`}>
        <rect class="reliability__frame" width={side} height={side} />
        <path class="reliability__ideal" d={`M0 ${side} ${side} 0`} />
        <polyline class="reliability__before" points={before.map(at).join(' ')} />
        <polyline class="reliability__after" points={after.map(at).join(' ')} />
        {before.map((bin) => (
          <circle
            key={bin.from}
            class="reliability__point"
            cx={bin.confidence * side}
            cy={(1 - bin.accuracy) * side}
            r={2.4}
          />
        ))}
        {after.map((bin) => (
          <circle
            key={bin.from}
            class="reliability__point reliability__point--after"
            cx={bin.confidence * side}
            cy={(1 - bin.accuracy) * side}
            r={2}
          />
        ))}
        <text x={side / 2} y={side + 12} text-anchor="middle">
          how sure
        </text>
        <text x={-side / 2} y={-6} text-anchor="middle" transform="rotate(-90)">
          how often right
        </text>
      </svg>
    </figure>
  );
}
