// A line chart over epochs, drawn by uPlot in the page's colours. Described by its caption; its numbers stand in a table elsewhere.
import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { whenResized } from './resized';

export interface ChartLine {
  readonly name: string;
  /** A custom property of the page. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly isThin?: boolean;
  readonly isDashed?: boolean;
}

interface Properties {
  readonly title: string;
  /** Epochs, as many as every line has values. */
  readonly x: readonly number[];
  readonly lines: readonly ChartLine[];
  /** The last epoch there will be: the right end, from the start, so that the lines grow towards it. */
  readonly end: number;
  readonly summary: string;
  readonly format: (value: number) => string;
  /** Fixed ends of the vertical axis. */
  readonly range?: readonly [number, number];
}

export function Chart({ title, x, lines, end, summary, format, range }: Properties): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useColourScheme();
  const shape = lines.map(({ name }) => name).join();
  const data = [x, ...lines.map(({ values }) => values)] as uPlot.AlignedData;

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const made = new uPlot(options(element, lines, end, format, range), data, element);
    plot.current = made;
    const stop = whenResized(element, () => made.setSize(sizeOf(element)));
    return () => {
      stop();
      made.destroy();
      plot.current = null;
    };
    // New lines or colours need a new chart; new numbers only setData below.
  }, [shape, scheme, end]);

  // Before the page is painted, so that the curves and the progress beside them tell of the same step.
  useLayoutEffect(() => {
    plot.current?.setData(data);
  });

  return (
    <figure class="chart">
      <figcaption class="chart__caption">
        <strong>{title}</strong>
        <span class="chart__legend small">
          {lines.map(({ name, colour, isDashed, isThin }) => (
            <span key={name} class="chart__key">
              <span
                class={`chart__line ${isDashed ? 'chart__line--dashed' : ''} ${isThin ? 'chart__line--thin' : ''}`}
                style={{ '--line-colour': `var(${colour})` }}
              />
              {name}
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={frame} class="chart__frame" role="img" aria-label={`${title}. ${summary}.`} />
    </figure>
  );
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(160, element.clientWidth), height: Math.max(120, element.clientHeight) };
}

function options(
  element: HTMLElement,
  lines: readonly ChartLine[],
  end: number,
  format: (value: number) => string,
  range: readonly [number, number] | undefined,
): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--ink-soft'),
    font: `12px ${style.fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    ...sizeOf(element),
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 12, 0, 0],
    scales: {
      x: { time: false, range: [0, end] },
      y: { range: range ? [range[0], range[1]] : (plot, _, max) => [0, top(plot, lines, max)] },
    },
    axes: [
      { ...axis, size: 26, gap: 4, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
      { ...axis, size: 48, gap: 4, values: (_, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...lines.map(({ name, colour: property, isThin, isDashed }) => ({
        label: name,
        stroke: colour(property),
        width: isThin ? 1 : 2.5,
        spanGaps: true,
        // A single value is no line yet.
        points: { show: !isThin, size: 5, fill: colour(property) },
        ...(isDashed && { dash: [6, 4] }),
      })),
    ],
  };
}

/**
 * Where the vertical axis ends: above the thick lines as soon as there are any. The first batches of a training can be far off, and
 * would press everything that matters to the bottom.
 */
function top(plot: uPlot, lines: readonly ChartLine[], max: number): number {
  const steady = lines.flatMap(({ isThin }, index) => (isThin ? [] : Array.from(plot.data[index + 1] ?? [])));
  const highest = steady.reduce<number>((a, b) => Math.max(a, b ?? 0), 0);
  return (highest || max || 1) * 1.08;
}

function useColourScheme(): 'dark' | 'light' {
  const query = useRef(matchMedia('(prefers-color-scheme: dark)'));
  const [isDark, setDark] = useState(query.current.matches);
  useEffect(() => {
    const changed = (): void => setDark(query.current.matches);
    query.current.addEventListener('change', changed);
    return () => query.current.removeEventListener('change', changed);
  }, []);
  return isDark ? 'dark' : 'light';
}
