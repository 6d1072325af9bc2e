// A heat map over its picture: the browser stretches it to the picture's size, as the model squeezed the picture to its own, or to the
// middle's where the model looked at that alone.
import type { JSX } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { currentModel, heatMap, showsHeatMap, type Prediction } from '../state';

/** From nothing over dark red and orange to a light yellow, which is also readable without colour. */
const stops: readonly (readonly [number, number, number])[] = [
  [60, 0, 60],
  [180, 30, 20],
  [245, 140, 20],
  [255, 245, 170],
];

/** Finer maps are averaged: the single values of a large map are noise to the eye. */
const mostCells = 28;

interface Grid {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

function coarse({ data, width, height }: Grid): Grid {
  const factor = Math.ceil(Math.max(width, height) / mostCells);
  if (factor === 1) return { data, width, height };
  const [columns, rows] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const sums = new Float32Array(columns * rows);
  data.forEach((value, i) => {
    sums[Math.floor(i / width / factor) * columns + Math.floor((i % width) / factor)]! += value;
  });
  const largest = sums.reduce((a, b) => Math.max(a, b), 0) || 1;
  return { data: sums.map((sum) => sum / largest), width: columns, height: rows };
}

function colourOf(value: number): readonly [number, number, number] {
  const place = Math.min(0.9999, Math.max(0, value)) * (stops.length - 1);
  const from = stops[Math.floor(place)]!;
  const to = stops[Math.floor(place) + 1]!;
  const share = place - Math.floor(place);
  const mix = (channel: 0 | 1 | 2): number => from[channel] + (to[channel] - from[channel]) * share;
  return [mix(0), mix(1), mix(2)];
}

export function HeatMapOver({ prediction: { id, name } }: { prediction: Prediction }): JSX.Element | null {
  const canvas = useRef<HTMLCanvasElement>(null);
  const shown = showsHeatMap.value && heatMap.value?.id === id ? heatMap.value : null;
  const map = useMemo(() => shown && coarse(shown), [shown]);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!map || !context) return;
    const image = new ImageData(map.width, map.height);
    map.data.forEach((value, i) => {
      const [red, green, blue] = colourOf(value);
      // What says nothing lets the picture through.
      image.data.set([red, green, blue, 90 + 130 * value], i * 4);
    });
    context.putImageData(image, 0, 0);
  }, [map]);
  if (!shown || !map) return null;
  return (
    <canvas
      ref={canvas}
      class={currentModel.value?.isCropping ? 'result__heat result__heat--middle' : 'result__heat'}
      width={map.width}
      height={map.height}
      role="img"
      aria-label={`What in ${name} speaks for ${shown.label}: ${whereIn(map.data, map.width, map.height)}`}
    />
  );
}

/** For those who cannot see it: which part of the picture is the warmest. */
function whereIn(data: Float32Array, width: number, height: number): string {
  const sums = new Float64Array(9);
  for (const [i, value] of data.entries()) {
    const column = Math.min(2, Math.floor(((i % width) * 3) / width));
    const row = Math.min(2, Math.floor((Math.floor(i / width) * 3) / height));
    sums[row * 3 + column]! += value;
  }
  if (sums.every((sum) => sum === 0)) return 'nothing';
  const best = sums.indexOf(Math.max(...sums));
  const rows = ['top', 'middle', 'bottom'];
  const columns = ['left', 'centre', 'right'];
  return `mostly the ${rows[Math.floor(best / 3)]} ${columns[best % 3]}`;
}
