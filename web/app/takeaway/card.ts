// The model card: what a stranger should know before trusting the model, written from what was recorded. Markdown.
import { wilson } from '../evaluation/interval';

export interface CardFacts {
  readonly name: string;
  readonly classes: readonly string[];
  readonly parameters: number;
  /** height, width, channels */
  readonly input: readonly [number, number, number];
  readonly layers: readonly { readonly name: string; readonly type: string; readonly output: readonly number[] }[];
  readonly fileName: string;
  /** The training record, which may come from a stranger's file: anything may be missing. */
  readonly training: Readonly<Record<string, unknown>>;
  /** ISO date. */
  readonly date: string;
}

const missing = 'not recorded';

export function modelCard(facts: CardFacts): string {
  const { name, classes, parameters, input, layers, fileName, training, date } = facts;
  const [height, width, channels] = input;
  const validation = at(training, 'validation');
  return [
    `# ${line(name)}`,
    `A classifier of images into ${classes.length} classes: ${classes.map(line).join(', ')}.`,
    'It was trained with Pinhole, on the device of the person who made it. Pinhole wrote this card from the training record in the model file; what is not there it does not know.',
    '## Data',
    dataTable(training, classes),
    splitSentence(training),
    '## Model',
    `- Input: ${width} x ${height}, ${channels === 1 ? 'grey' : 'RGB'}; resized (antialiased bilinear, aspect ratio not kept) and divided by 255`,
    `- Parameters: ${parameters.toLocaleString('en')}`,
    `- Layers: ${layers.map(({ type }) => type).join(', ')}`,
    '## Training',
    trainingList(training),
    '## Results',
    ...resultsOf(validation, classes, number(training, 'best_epoch') !== null),
    '## Not sure',
    thresholdSentence(training),
    '## Limits',
    [
      '- The results hold for images like those it was tested with: the same kind of things, light, camera and background. On other images it may do worse.',
      `- It answers with one of its ${classes.length} classes whatever the image shows, also when it shows none of them.`,
      '- The images come from whoever trained it; what they leave out, the model does not know.',
    ].join('\n'),
    '## Use it',
    [
      `- Open \`${line(fileName)}\` in Pinhole, or with the command line: \`native_classify --model "${line(fileName)}" picture.jpg\``,
      `- In PyTorch: \`model.load_state_dict(safetensors.torch.load_file("${line(fileName)}"), strict=True)\``,
    ].join('\n'),
    `---\n\nWritten on ${date}.`,
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n');
}

function dataTable(training: unknown, classes: readonly string[]): string {
  const train = at(training, 'data', 'train_images_of_class');
  const val = at(training, 'data', 'val_images_of_class');
  if (train === undefined) return `Images of each class: ${missing}.`;
  const rows = classes.map((name) => [name, shown(number(train, name)), shown(number(val, name) ?? 0)]);
  return table(
    ['Class', 'Trained with', 'Held out'],
    [...rows, ['All', shown(number(training, 'data', 'train_images')), shown(number(training, 'data', 'val_images'))]],
  );
}

function splitSentence(training: unknown): string {
  const seed = number(training, 'options', 'seed');
  const held = number(training, 'data', 'val_images');
  if (!held) return 'No images were held out: nothing is known about how well it does on new ones.';
  return `The images that were held out were drawn at random within each class${seed === null ? '' : ` (seed ${seed})`}; no step of the training saw them.`;
}

function trainingList(training: unknown): string {
  const options = at(training, 'options');
  const optimizer = at(options, 'optimizer');
  const name = at(optimizer, 'name');
  const rate = number(optimizer, 'lr');
  const best = number(training, 'best_epoch');
  const recipe = at(training, 'recipe');
  const rows: [string, string][] = [
    ['Optimizer', typeof name === 'string' ? line(name) : missing],
    ['Learning rate', shown(rate)],
    ['Learning-rate schedule', scheduleIn(recipe)],
    ['Label smoothing', shown(number(recipe, 'label_smoothing'))],
    ['Augmentation', augmentationIn(recipe)],
    ['Weight decay', shown(number(optimizer, 'weight_decay'))],
    ['Batch size', shown(number(options, 'batch_size'))],
    ['Epochs', shown(number(options, 'epochs'))],
    ['Seed', shown(number(options, 'seed'))],
    ...(best ? ([['Weights of epoch', String(best)]] as [string, string][]) : []),
  ];
  return rows.map(([what, value]) => `- ${what}: ${value}`).join('\n');
}

function scheduleIn(recipe: unknown): string {
  const type = at(recipe, 'schedule', 'type');
  const warmup = number(recipe, 'schedule', 'warmup_epochs');
  return typeof type === 'string' ? `${line(type)}${warmup ? `, ${warmup} epochs of warm-up` : ''}` : missing;
}

function augmentationIn(recipe: unknown): string {
  const list = at(recipe, 'augment');
  if (!Array.isArray(list)) return missing;
  const names = list.map((one: unknown) => at(one, 'type')).filter((type) => typeof type === 'string');
  return names.length > 0 ? line(names.join(', ')) : 'none';
}

function resultsOf(validation: unknown, classes: readonly string[], isChosenOnThem: boolean): string[] {
  const images = number(validation, 'images');
  const accuracy = number(validation, 'accuracy');
  if (!images || accuracy === null) return ['It was not tested on images that were held out.'];
  const { low, high } = wilson(Math.round(accuracy * images), images);
  const perClass = classes.map((name, c) => {
    const row = at(validation, 'confusion', c);
    const total = Array.isArray(row) ? row.reduce((sum: number, count) => sum + Number(count), 0) : 0;
    const right = number(row, c);
    const recall = number(validation, 'recall', name);
    const interval = right !== null && total > 0 ? wilson(right, total) : null;
    return [
      name,
      two(number(validation, 'precision', name)),
      recall !== null && interval ? `${two(recall)} (${two(interval.low)} to ${two(interval.high)})` : two(recall),
    ];
  });
  return [
    `Accuracy on ${images} images that were held out: **${two(accuracy)}**, between ${two(low)} and ${two(high)} (95 % interval, Wilson).${isChosenOnThem ? ' The epoch with the best accuracy on these images was kept, so the figure is slightly flattering.' : ''}`,
    table(['Class', 'Precision', 'Recall (95 % interval)'], perClass),
    confusionTable(validation, classes),
  ];
}

function confusionTable(validation: unknown, classes: readonly string[]): string {
  const rows = at(validation, 'confusion');
  if (!Array.isArray(rows)) return '';
  return `Confusion matrix (rows: what it is; columns: what the model said):\n\n${table(
    ['', ...classes],
    classes.map((name, label) => [name, ...classes.map((_, predicted) => shown(number(rows, label, predicted)))]),
  )}`;
}

function thresholdSentence(training: unknown): string {
  const threshold = number(training, 'calibration', 'threshold');
  const answered = number(training, 'calibration', 'threshold_answered');
  const right = number(training, 'calibration', 'threshold_accuracy');
  const temperature = number(training, 'calibration', 'temperature');
  if (threshold === null || answered === null || right === null) return 'No threshold was fitted.';
  const scaled =
    temperature === null
      ? ''
      : ` Its probabilities are best calibrated with a temperature of ${two(temperature)} (softmax of the logits divided by it).`;
  return `Below a probability of ${two(threshold)} it should answer "not sure": of the images that were held out it then answers ${two(answered)}, and ${two(right)} of these rightly.${scaled}`;
}

/** What lies at a path; undefined where it leads nowhere. */
function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Record<string | number, unknown>)[key]
        : undefined,
    value,
  );
}

function number(value: unknown, ...path: readonly (string | number)[]): number | null {
  const found = at(value, ...path);
  return typeof found === 'number' && Number.isFinite(found) ? found : null;
}

const shown = (value: number | null): string => (value === null ? missing : String(value));
const two = (value: number | null): string => (value === null ? '–' : value.toFixed(2));

/** Text of others on one line, which cannot break out of a table, a heading or code. */
function line(text: string): string {
  return text.replace(/[\r\n|`]+/g, ' ').trim();
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.map(line).join(' | ')} |`;
  return [row(head), row(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(row)].join('\n');
}
