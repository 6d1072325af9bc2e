// The goals for speed and size, and whether a run reached them. What was not measured is neither reached nor missed.

const rate = (results, row, column) => results.speed?.[row]?.[column]?.imagesPerSecond;
const ratio = (results, row, ours, theirs) => rate(results, row, ours) / rate(results, row, theirs);

const chromium = 'chromium-relaxed-threads';

/** Share of the limit that the kernels reach on a convolution of 64 channels and more: the lowest of the networks'. */
function convShare(results, place, kernels) {
  const shares = (results.kernels ?? [])
    .filter((entry) => entry.place === place && entry.networks && entry.threads === 1)
    .flatMap(({ limit, networks }) =>
      Object.values(networks)
        .flat()
        .filter(({ kernel, shape }) => kernels.includes(kernel) && /^\d+ x \d+x\d+x(\d+) -> (\d+)$/.test(shape))
        .filter(({ shape }) => {
          const [, from, to] = /x(\d+) -> (\d+)$/.exec(shape);
          return from >= 64 && to >= 64;
        })
        .map(({ gflop, seconds }) => gflop / seconds / limit.gflops),
    );
  return shares.length ? Math.min(...shares) : NaN;
}

function fewest(values) {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length ? Math.min(...known) : NaN;
}

const inferRows = ['binary-infer', 'multiclass-infer', 'threeconv-infer', 'fashion-infer', 'multiclass-latency'];
const trainRows = ['binary-train', 'multiclass-train', 'threeconv-train', 'fashion-train'];

/** Whether there is to be less than the goal; of a factor (x) or a share (%) at least as much. */
export const isUpperLimit = (unit) => ['MB', 'KB', 'ms', 's'].includes(unit);

export function judgeGoals(results) {
  const many = (rowNames, ours, theirs) => fewest(rowNames.map((row) => ratio(results, row, ours, theirs)));
  const threadRatio = (prefix) => {
    const pairs = [...trainRows, ...inferRows].map((row) => {
      // Measured in turns where that was asked for; else from the medians of two columns.
      const inTurns = results.threads?.[row]?.[prefix];
      if (inTurns?.threads) return inTurns.stepSeconds < 0.005 ? inTurns.threads * 1.8 : inTurns.threads;
      const one = prefix === 'native' ? 'native-1' : 'chromium-relaxed-1';
      const all = prefix === 'native' ? 'native' : chromium;
      // Work below 5 ms a step need not gain; it must not lose.
      const batch = row === 'multiclass-latency' ? 1 : row.startsWith('fashion') ? 128 : 32;
      const short = batch / rate(results, row, one) < 0.005;
      const gain = ratio(results, row, all, one);
      return short ? gain * 1.8 : gain;
    });
    return fewest(pairs);
  };
  const megabytes = (column) => (results.memory?.[column]?.bytes ?? NaN) / 1e6;
  const { engine, page } = results.download ?? {};
  const goals = [
    [
      'MultiClassCNN(10) training, native against PyTorch',
      8,
      'x',
      ratio(results, 'multiclass-train', 'native', 'pytorch'),
    ],
    [
      'MultiClassCNN(10) training, Chromium against PyTorch',
      3,
      'x',
      ratio(results, 'multiclass-train', chromium, 'pytorch'),
    ],
    ['3-conv training, native against PyTorch', 1.5, 'x', ratio(results, 'threeconv-train', 'native', 'pytorch')],
    ['3-conv training, Chromium against PyTorch', 0.4, 'x', ratio(results, 'threeconv-train', chromium, 'pytorch')],
    [
      '3-conv training, Chromium against TensorFlow.js cpu',
      50,
      'x',
      ratio(results, 'threeconv-train', chromium, 'tfjs-cpu'),
    ],
    ['fashion_cnn training, native against PyTorch', 2, 'x', ratio(results, 'fashion-train', 'native', 'pytorch')],
    ['fashion_cnn training, Chromium against PyTorch', 0.5, 'x', ratio(results, 'fashion-train', chromium, 'pytorch')],
    ['inference, every row, native against ONNX Runtime Node', 1, 'x', many(inferRows, 'native', 'onnx-node')],
    ['inference, every row, Chromium against ONNX Runtime Web', 2, 'x', many(inferRows, chromium, 'onnx-web')],
    ['inference, every row, Chromium against TensorFlow.js wasm', 2, 'x', many(inferRows, chromium, 'tfjs-wasm')],
    [
      'convolution forward and input gradient, 64 channels, of the native limit',
      70,
      '%',
      100 * convShare(results, 'native', ['conv2d_forward', 'conv2d_backward_input']),
    ],
    [
      'the same in Chromium',
      60,
      '%',
      100 * convShare(results, 'chromium', ['conv2d_forward', 'conv2d_backward_input']),
    ],
    [
      'convolution weight gradient, 64 channels, of the native limit',
      60,
      '%',
      100 * convShare(results, 'native', ['conv2d_backward_weight']),
    ],
    ['the same in Chromium', 50, '%', 100 * convShare(results, 'chromium', ['conv2d_backward_weight'])],
    [
      'all threads over one, every row, native (of 2 cores; work under 5 ms: not slower)',
      1.8,
      'x',
      threadRatio('native'),
    ],
    ['the same in Chromium', 1.8, 'x', threadRatio('chromium')],
    [
      'TransferCNN, batch 1, Chromium against ONNX Runtime Web',
      1,
      'x',
      ratio(results, 'transfer-latency', chromium, 'onnx-web'),
    ],
    ['TransferCNN, batch 1, Chromium', 15, 'ms', 1000 / (rate(results, 'transfer-latency', chromium) ?? NaN)],
    ['training memory above the data set, native', 120, 'MB', megabytes('native')],
    ['training memory above the data set, Chromium', 120, 'MB', megabytes(chromium)],
    ['page can be used, Chromium', 1, 's', results.page?.interactive?.median ?? NaN],
    ['100 new photos in Chromium, from the drop to a result', 5, 's', results.page?.result?.median ?? NaN],
    ['download that trains, engine and page, gzipped', 400, 'KB', engine && page ? (engine + page) / 1e3 : NaN],
    ["of it the page's own code, gzipped", 150, 'KB', (page ?? NaN) / 1e3],
  ];
  return goals.map(([title, target, unit, measured]) => ({
    title,
    target,
    unit,
    measured: Number.isFinite(measured) ? measured : undefined,
    reached: Number.isFinite(measured) ? (isUpperLimit(unit) ? measured < target : measured >= target) : undefined,
  }));
}
