// Shows the results: tables for the terminal, and one HTML file with charts that needs nothing else.
import { heading } from '../../scripts/lib.mjs';
import { columns, networkList, rows } from './columns.mjs';
import { isUpperLimit } from './goals.mjs';

const titleOf = Object.fromEntries(columns.map(({ name, title }) => [name, title]));

export function number(value) {
  if (value === undefined || Number.isNaN(value)) return '';
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toPrecision(2);
}

const spreadOf = ({ imagesPerSecond, lowest, highest }) => (50 * (highest - lowest)) / imagesPerSecond;

/** What a cell says: images/s (for latency milliseconds an image), half the range of the rounds, ratio to Pinhole native. */
function cellOf(result, row) {
  if (!result) return ['', '', ''];
  const value = row.latency ? `${(1000 / result.imagesPerSecond).toPrecision(3)} ms` : number(result.imagesPerSecond);
  const spread = result.rates.length > 1 ? `±${spreadOf(result).toFixed(0)}%` : '';
  return [
    value + (result.batch ? '*' : ''),
    spread,
    result.toNative === undefined
      ? ''
      : `${result.toNative >= 0.1 ? result.toNative.toFixed(2) : result.toNative.toPrecision(1)}x`,
  ];
}

/** Prints rows of cells in columns; the first column to the left, the others to the right. */
function printTable(lines) {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  for (const line of lines)
    console.log(
      `    ${line.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')}`.trimEnd(),
    );
}

const groups = (results) =>
  [
    ['Training, images/s', rows.filter(({ kind }) => kind === 'train')],
    ['Inference, images/s (latency: ms an image)', rows.filter(({ kind }) => kind === 'infer')],
  ]
    .map(([title, list]) => [title, list.filter(({ name }) => results.speed?.[name])])
    .filter(([, list]) => list.length);

export function printSpeed(results) {
  for (const [title, list] of groups(results)) {
    heading(`${title}: median, ± half the range of the rounds, ratio to Pinhole native`);
    const lines = [['', ...list.flatMap((row) => [row.title, '', ''])]];
    // The network's name is wider than its figures: it goes over the three of them.
    lines[0] = [
      '',
      ...list.flatMap(({ title: words }) => {
        const [first, ...rest] = words.split(' ');
        return [first, rest.join(' '), ''];
      }),
    ];
    for (const { name, title: words } of columns) {
      if (!list.some((row) => results.speed[row.name][name])) continue;
      lines.push([words, ...list.flatMap((row) => cellOf(results.speed[row.name][name], row))]);
    }
    printTable(lines);
    if (list.some((row) => Object.values(results.speed[row.name]).some(({ batch }) => batch)))
      console.log('    * on a smaller batch, measured once: a whole one takes too long');
  }
  if (results.gaps.length) {
    heading('Gaps');
    for (const { row, column, reason } of results.gaps)
      console.log(`    ${titleOf[column] ?? column}${row ? `, ${row}` : ''}: ${reason}`);
  }
}

export function printThreads({ threads, machine }) {
  if (!threads) return;
  heading(
    `Over one thread: ${machine.cores} threads, ${machine.cores} single-threaded engines at once, the first of the second`,
  );
  const lines = [['', '', 'one thread, ms a step', 'threads', 'engines', 'share']];
  for (const { name, title, kind } of rows)
    for (const [place, result] of Object.entries(threads[name] ?? {}))
      lines.push([
        `${title}, ${kind === 'train' ? 'training' : 'inference'}`,
        place,
        ...(result.gap
          ? [result.gap, '', '', '']
          : [
              (result.stepSeconds * 1000).toPrecision(3),
              ...[result.threads, result.copies].map((gain) => `${gain.toFixed(2)}x`),
              `${(100 * result.ofCopies).toFixed(0)}%`,
            ]),
      ]);
  printTable(lines);
}

const fused = (kernel) => kernel.startsWith('conv2d_relu');

/** Share of the time that the machine would need at its limit, of whichever is more: arithmetic or memory. */
export function shareOfLimit({ kernel, seconds, gflop, gigabytes }, limit) {
  // The fused backward skips three quarters of what it is counted with.
  if (fused(kernel) && kernel.endsWith('backward')) return undefined;
  return Math.max(gflop / limit.gflops, gigabytes / limit.bandwidth) / seconds;
}

const limitText = ({ instructions, gflops, read, copy, triad }) =>
  `limit: ${number(gflops)} GFLOP/s (${instructions}); memory ${number(read)} read, ${number(copy)} copy, ${number(triad)} triad GB/s`;

export function printKernels({ kernels = [] }) {
  for (const { place, threads, limit, networks, gap } of kernels) {
    if (gap) continue;
    heading(`Kernels, ${place}, ${threads} thread${threads > 1 ? 's' : ''}; ${limitText(limit)}`);
    const lines = [['', '', '', 'ms', 'GFLOP/s', 'GB/s', 'of limit']];
    for (const [network, times] of Object.entries(networks)) {
      for (const time of times) {
        const { layer, kernel, shape, seconds, gflop, gigabytes } = time;
        const share = shareOfLimit(time, limit);
        lines.push([
          `${network} ${layer} ${kernel}`,
          '',
          shape,
          (seconds * 1000).toPrecision(3),
          gflop ? number(gflop / seconds) : '',
          number(gigabytes / seconds),
          share === undefined ? '' : `${(100 * share).toFixed(0)}%`,
        ]);
      }
    }
    printTable(lines.map((line) => line.filter((_, i) => i !== 1)));
  }
  if (kernels.some(({ gap }) => !gap)) {
    console.log(
      '    GB/s counts each operand once, so a cache can lift it above memory; GFLOP/s of conv2d_relu_max_pool2d_backward',
    );
    console.log('    counts the convolution as if the pool had passed on every value, which only one in four is.');
  }
}

export function printOthers({ memory, loading, page, download }) {
  if (memory) {
    heading('Peak memory of training above the images, MB');
    printTable(
      Object.entries(memory).map(([name, { bytes, gap }]) => [titleOf[name] ?? name, gap ?? number(bytes / 1e6)]),
    );
  }
  if (loading) {
    heading('Photos decoded and resized, images/s');
    printTable(
      Object.entries(loading).map(([name, result]) => [
        name,
        result.gap ?? number(result.imagesPerSecond),
        result.gap ? '' : `±${spreadOf(result).toFixed(0)}%`,
      ]),
    );
  }
  if (page) {
    heading('The page in Chromium, s');
    const seconds = ({ median, lowest, highest }) => [median, lowest, highest].map((value) => value.toFixed(2));
    const titles = {
      interactive: 'can be used',
      engine: 'engine is ready',
      imported: '100 photos, drop to import',
      result: '100 photos, drop to result',
    };
    printTable(
      page.gap
        ? [[page.gap]]
        : Object.entries(page).map(([name, times]) => {
            const [middle, low, high] = seconds(times);
            return [titles[name], middle, `${low} to ${high}`];
          }),
    );
  }
  const { engine, page: own } = download;
  if (!engine) return;
  heading('Download, KB gzipped');
  console.log(`    engine ${number(engine / 1e3)}${own ? `, page ${number(own / 1e3)}` : ' (the page is not built)'}`);
}

const goalLine = ({ title, target, unit, measured, reached }) => [
  title,
  `${isUpperLimit(unit) ? 'under' : 'at least'} ${target} ${unit}`,
  measured === undefined ? 'not measured' : `${number(measured)} ${unit}`,
  reached === undefined ? '' : reached ? 'reached' : 'MISSED',
];

export function printGoals({ goals }) {
  const known = goals.filter(({ measured }) => measured !== undefined);
  if (known.length === 0) return;
  heading('Goals');
  printTable(known.map(goalLine));
}

const escape = (text) =>
  String(text).replace(
    /[&<>"]/g,
    (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character],
  );

/** Horizontal bars of one row, longest first as the columns go, with a whisker from the lowest to the highest round. */
function barChart(row, results) {
  const shown = columns.filter(({ name }) => results[name]);
  if (shown.length === 0) return '';
  const left = 300,
    width = 400,
    line = 24;
  const most = Math.max(...shown.map(({ name }) => results[name].highest));
  const x = (value) => (left + (width * value) / most).toFixed(1);
  const bars = shown.map(({ name, title, ours }, i) => {
    const result = results[name];
    const y = i * line;
    const [value, spread, ratio] = cellOf(result, row);
    return `<text x="${left - 8}" y="${y + 16}" text-anchor="end">${escape(title)}</text>
<rect x="${left}" y="${y + 4}" width="${Math.max(1, x(result.imagesPerSecond) - left).toFixed(1)}" height="${line - 8}" class="${ours ? 'ours' : 'peer'}"/>
<line x1="${x(result.lowest)}" x2="${x(result.highest)}" y1="${y + line / 2}" y2="${y + line / 2}" class="range"/>
<text x="${Number(x(result.highest)) + 8}" y="${y + 16}">${escape([value, spread, ratio].filter(Boolean).join('  '))}</text>`;
  });
  return `<h3>${escape(row.title)}</h3>
<svg viewBox="0 0 ${left + width + 180} ${shown.length * line}" role="img" aria-label="${escape(row.title)}">
${bars.join('\n')}
</svg>`;
}

const htmlTable = (
  head,
  lines,
) => `<table><thead><tr>${head.map((cell) => `<th>${escape(cell)}</th>`).join('')}</tr></thead>
<tbody>${lines.map((line) => `<tr>${line.map((cell) => `<td>${escape(cell)}</td>`).join('')}</tr>`).join('\n')}</tbody></table>`;

function kernelSection({ place, threads, limit, networks }) {
  const lines = Object.entries(networks).flatMap(([network, times]) =>
    times.map((time) => {
      const share = shareOfLimit(time, limit);
      return [
        networkList.find(({ name }) => name === network).title,
        time.layer,
        time.kernel,
        time.shape,
        (time.seconds * 1000).toPrecision(3),
        time.gflop ? number(time.gflop / time.seconds) : '',
        number(time.gigabytes / time.seconds),
        share === undefined ? '' : `${(100 * share).toFixed(0)} %`,
      ];
    }),
  );
  const head = ['network', 'layer', 'kernel', 'shape', 'ms', 'GFLOP/s', 'GB/s', 'of limit'];
  return `<h3>${escape(place)}, ${threads} thread${threads > 1 ? 's' : ''}</h3><p>${escape(limitText(limit))}</p>${htmlTable(head, lines)}`;
}

export function htmlReport(results) {
  const { machine, versions, date, commit, changedFiles, loadAtStart, loadAtEnd, memory, loading, goals } = results;
  const facts = [
    `${machine.cpu}, ${machine.cores} cores, ${(machine.memory / 2 ** 30).toFixed(0)} GiB, ${machine.system}`,
    Object.entries(versions)
      .filter(([, version]) => version)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `${date}, commit ${commit}${changedFiles ? ` with ${changedFiles} changed files` : ''}, load ${loadAtStart.toFixed(2)} at the start and ${loadAtEnd.toFixed(2)} at the end`,
  ];
  const speed = groups(results)
    .map(
      ([title, list]) =>
        `<h2>${escape(title)}</h2>${list.map((row) => barChart(row, results.speed[row.name])).join('')}`,
    )
    .join('');
  const kernels = (results.kernels ?? []).filter(({ gap }) => !gap);
  const others = [
    memory &&
      `<h2>Peak memory of training above the images</h2>${htmlTable(
        ['', 'MB'],
        Object.entries(memory).map(([name, { bytes, gap }]) => [titleOf[name] ?? name, gap ?? number(bytes / 1e6)]),
      )}`,
    loading &&
      `<h2>Photos decoded and resized</h2>${htmlTable(
        ['', 'images/s'],
        Object.entries(loading).map(([name, { imagesPerSecond, gap }]) => [name, gap ?? number(imagesPerSecond)]),
      )}`,
    results.gaps.length &&
      `<h2>Gaps</h2>${htmlTable(
        ['column', 'row', 'reason'],
        results.gaps.map(({ column, row, reason }) => [titleOf[column] ?? column, row ?? 'all', reason]),
      )}`,
  ].filter(Boolean);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Pinhole's bench</title>
<style>
:root { color-scheme: light dark; --ours: light-dark(#0b6bcb, #5aa9f5); --peer: light-dark(#b0b8c0, #59636e); --range: light-dark(#222, #eee); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; font-size: 13px; } svg text { fill: CanvasText; }
.ours { fill: var(--ours); } .peer { fill: var(--peer); } .range { stroke: var(--range); stroke-width: 1.5; }
table { border-collapse: collapse; font-size: 13px; } th, td { text-align: left; padding: .15rem .7rem .15rem 0; border-bottom: 1px solid light-dark(#ddd, #444); font-variant-numeric: tabular-nums; }
</style></head><body>
<h1>Pinhole's bench</h1>
${facts.map((fact) => `<p>${escape(fact)}</p>`).join('\n')}
<p>Bars are medians of the rounds, lines reach from the lowest to the highest; the last figure is the ratio to Pinhole native.
A star: on a smaller batch, measured once.</p>
${speed}
${goals.some(({ measured }) => measured !== undefined) ? `<h2>Goals</h2>${htmlTable(['goal', 'target', 'measured', ''], goals.map(goalLine))}` : ''}
${others.join('\n')}
${kernels.length ? `<h2>Kernels</h2><p>GB/s counts each operand once. The fused backward is counted as if the pool had passed on every value.</p>${kernels.map(kernelSection).join('')}` : ''}
</body></html>
`;
}
