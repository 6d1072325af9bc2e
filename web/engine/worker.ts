// The engine's worker: owns the core and everything made with it, and answers calls. Rule: long work goes in small pieces (a
// training step, an image) and lets other calls in between them; an object that such work uses is freed only when it has ended.

import { decodeInBrowser, mostPixels } from './browserImage.js';
import type { Core, CoreBackend, CoreDataset, CoreImage, CoreModel, CoreObject, CoreTrainingRun } from './core.js';
import { listenToOwner, messageOf, yieldToMessages } from './environment.js';
import type { CallMessage, CallName, Calls, Handle, ModelCreated, Part, Progress } from './protocol.js';
import { trainingRecord } from './record.js';
import { labelIndex, recipeOf, seedNumber, wholeNumber } from './settings.js';
import { evaluateLoop, evaluationOf, progressInterval, trainLoop } from './training.js';
import type {
  EngineInfo,
  HeatMap,
  ImageSource,
  InputSize,
  ModelSpec,
  Pixels,
  RgbaImage,
  TrainingRecord,
} from './types.js';
import { loadCore } from './variants.js';

interface Engine {
  core: Core;
  backend: CoreBackend;
  info: EngineInfo;
  maxPixels: number;
}

interface Entry<Object extends CoreObject> {
  core: Object;
  /** Calls under way that need it. */
  users: number;
  disposed: boolean;
}

interface DatasetEntry extends Entry<CoreDataset> {
  classes: readonly string[];
  crop: ModelSpec['crop'];
  /** Trainings and evaluations that read it; meanwhile it must not change. */
  runs: number;
  /** Settled when all images that were sent so far are in. */
  adding: Promise<unknown>;
}

interface ModelEntry extends Entry<CoreModel> {
  classes: readonly string[];
  crop: ModelSpec['crop'];
  /** Its weights are no longer those that createModel gave it. */
  trained: boolean;
  training: boolean;
}

/** A call under way. */
interface Call {
  stopped: boolean;
  /** Settles when the call may go on. */
  paused: Promise<void> | undefined;
  resume(): void;
  /** `transfer`: a buffer that is handed over instead of copied. */
  progress(progress: Progress, transfer?: ArrayBufferLike): void;
}

let engine: Engine | undefined;
const datasets = new Map<Handle, DatasetEntry>();
const models = new Map<Handle, ModelEntry>();
let lastHandle = 0;
let runs = 0;

function started(): Engine {
  if (!engine) throw new Error('the engine is not loaded');
  return engine;
}

function find<Kind>(entries: Map<Handle, Kind>, handle: Handle, what: string): Kind {
  const entry = entries.get(handle);
  if (!entry) throw new Error(`this ${what} was disposed of`);
  return entry;
}
const datasetOf = (handle: Handle): DatasetEntry => find(datasets, handle, 'data set');
const modelOf = (handle: Handle): ModelEntry => find(models, handle, 'model');

function keepDataset(core: CoreDataset, { classes, crop }: Pick<DatasetEntry, 'classes' | 'crop'>): Part {
  datasets.set(++lastHandle, { core, users: 0, disposed: false, classes, crop, runs: 0, adding: Promise.resolve() });
  return { dataset: lastHandle, size: core.size() };
}

function keepModel(core: CoreModel, trained: boolean): ModelCreated {
  const summary = core.summary();
  const spec = JSON.parse(core.spec()) as ModelSpec;
  const { classes } = summary;
  models.set(++lastHandle, { core, users: 0, disposed: false, classes, crop: spec.crop, trained, training: false });
  return {
    model: lastHandle,
    summary,
    spec,
    training: JSON.parse(core.training()) as TrainingRecord,
  };
}

function dispose(entries: Map<Handle, Entry<CoreObject>>, handle: Handle): void {
  const entry = entries.get(handle);
  if (!entry) return;
  entries.delete(handle);
  entry.disposed = true;
  if (entry.users === 0) entry.core.delete();
}

/** Runs `work` and keeps what it uses from being freed meanwhile. */
async function using<Result>(entries: readonly Entry<CoreObject>[], work: () => Promise<Result>): Promise<Result> {
  for (const entry of entries) ++entry.users;
  try {
    return await work();
  } finally {
    for (const entry of entries) if (--entry.users === 0 && entry.disposed) entry.core.delete();
  }
}

/** Counts a training or evaluation on `data`, once all images that were sent before are in. */
async function reading<Result>(data: readonly DatasetEntry[], work: () => Promise<Result>): Promise<Result> {
  await Promise.all(data.map((entry) => entry.adding));
  ++runs;
  for (const entry of data) ++entry.runs;
  try {
    return await work();
  } finally {
    --runs;
    for (const entry of data) --entry.runs;
  }
}

/** Labels are positions in the list of classes: with another list every label would mean something else. */
function checkFits(model: ModelEntry, data: DatasetEntry): void {
  const same =
    model.classes.length === data.classes.length && model.classes.every((name, c) => name === data.classes[c]);
  if (!same) {
    throw new Error(`the model tells apart ${model.classes.join(', ')}; the data set has ${data.classes.join(', ')}`);
  }
  if (model.crop !== data.crop) {
    const looks = (crop: ModelSpec['crop']): string => (crop ? 'the middle' : 'the whole');
    throw new Error(
      `the model looks at ${looks(model.crop)} of a picture, the data set holds ${looks(data.crop)}: "crop"`,
    );
  }
}

async function bytesOf(source: Uint8Array | ArrayBuffer | Blob): Promise<Uint8Array<ArrayBuffer>> {
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Uint8Array) return source as Uint8Array<ArrayBuffer>;
  throw new Error('expected bytes: a Uint8Array, an ArrayBuffer or a Blob');
}

function isPixels(source: unknown): source is RgbaImage | Pixels {
  return typeof source === 'object' && source !== null && 'data' in source && ArrayBuffer.isView(source.data);
}

function fromPixels(source: RgbaImage | Pixels): CoreImage {
  const width = wholeNumber('width', source.width, 0, 1);
  const height = wholeNumber('height', source.height, 0, 1);
  const { data } = source;
  let bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if ('channels' in source) {
    const { channels } = source;
    if (channels !== 1 && channels !== 3)
      throw new Error(`channels expected 1 (grey) or 3 (RGB), got ${String(channels)}`);
    if (bytes.length !== width * height * channels) {
      throw new Error(
        `pixels expected width x height x ${channels} bytes, got ${bytes.length} bytes for ${width}x${height}`,
      );
    }
    bytes = withAlpha(bytes, channels);
  }
  return started().core.Image.fromRgba(bytes, width, height);
}

/** Fresh memory costs more than filling it does: pictures of a model's size take this again and again. */
const scratch = new Uint8Array(1 << 20);

function withAlpha(bytes: Uint8Array, channels: 1 | 3): Uint8Array<ArrayBuffer> {
  const size = (bytes.length / channels) * 4;
  const rgba = size <= scratch.length ? scratch.subarray(0, size) : new Uint8Array(size);
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2];
  for (let to = 0, from = 0; to < size; to += 4, from += channels) {
    rgba[to] = bytes[from]!;
    rgba[to + 1] = bytes[from + green]!;
    rgba[to + 2] = bytes[from + blue]!;
    rgba[to + 3] = 255;
  }
  return rgba;
}

async function decode(source: ImageSource): Promise<CoreImage> {
  if (isPixels(source)) return fromPixels(source);
  const bytes = await bytesOf(source);
  const { core, maxPixels } = started();
  const pixels = await decodeInBrowser(bytes, maxPixels);
  return pixels ? fromPixels(pixels) : core.Image.decode(bytes, maxPixels);
}

/** Calls `use` with the decoded image, then frees it. */
async function withImage(source: ImageSource, use: (image: CoreImage) => void): Promise<void> {
  const image = await decode(source);
  try {
    use(image);
  } finally {
    image.delete();
  }
}

function emptyDataset([height, width, channels]: InputSize, classes: readonly string[]): CoreDataset {
  return started().core.ImageDataset.create(
    wholeNumber('height', height, 0, 1),
    wholeNumber('width', width, 0, 1),
    wholeNumber('channels', channels, 0, 1),
    [...classes],
  );
}

type Answers = {
  [Name in CallName]: (takes: Calls[Name]['takes'], call: Call) => Calls[Name]['gives'] | Promise<Calls[Name]['gives']>;
};

const answers: Answers = {
  async load({ wasmUrl, variant: forced, threads: wanted, backend: backendName = 'auto', maxPixels: most }) {
    if (engine) throw new Error('the engine is loaded already');
    const maxPixels = wholeNumber('maxPixels', most, mostPixels, 1);
    const count = wanted === undefined ? undefined : wholeNumber('threads', wanted, 1, 1);
    const signs = setInterval(() => owner.post({ kind: 'loading' }), 1000);
    const { core, variant, threads } = await loadCore(wasmUrl, forced, count).finally(() => clearInterval(signs));
    const backend = core.Backend.create(backendName, threads);
    const info: EngineInfo = {
      variant,
      threads: backend.threads(),
      backend: backend.name(),
      backends: core.backendNames(),
      description: backend.description(),
    };
    engine = { core, backend, info, maxPixels };
    return info;
  },

  memory() {
    const { core } = started();
    return {
      bytesInUse: core.bytesInUse(),
      bytesReserved: core.bytesReserved(),
      datasets: datasets.size,
      models: models.size,
      runs,
    };
  },

  async decode({ image, input }) {
    const core = emptyDataset(input, ['image']);
    try {
      let size = { imageHeight: 0, imageWidth: 0 };
      await withImage(image, (decoded) => {
        core.add(decoded, 0, '', false);
        size = { imageHeight: decoded.height(), imageWidth: decoded.width() };
      });
      return { data: core.pixels(0), ...size };
    } finally {
      core.delete();
    }
  },

  createDataset({ classes, input, crop }) {
    if (crop !== undefined && (crop as string) !== 'center')
      throw new Error(`crop expected 'center', got ${JSON.stringify(crop)}`);
    return keepDataset(emptyDataset(input, classes), { classes, crop }).dataset;
  },

  addImages({ dataset, items }, call) {
    const entry = datasetOf(dataset);
    const before = entry.adding;
    const done = using([entry], async () => {
      await before.catch(() => undefined);
      if (entry.runs > 0) throw new Error('a training or evaluation uses this data set; add images when it has ended');
      const result: Calls['addImages']['gives'] = { added: 0, skipped: [], size: 0 };
      let lastReport = -Infinity;
      for (const [i, { image, label, name = '' }] of items.entries()) {
        if (call.stopped) break;
        const index = labelIndex(label, entry.classes);
        try {
          await withImage(image, (decoded) => {
            entry.core.add(decoded, index, name, entry.crop !== undefined);
          });
          ++result.added;
        } catch (error) {
          if (isCrash(error)) throw error;
          result.skipped.push({ name, reason: messageOf(error) });
        }
        // Small images take less time than letting messages in does.
        if (performance.now() - lastReport >= progressInterval || i + 1 === items.length) {
          call.progress({ type: 'adding', at: { done: i + 1, total: items.length } });
          lastReport = performance.now();
          await yieldToMessages();
        }
      }
      return { ...result, size: entry.core.size() };
    });
    entry.adding = done.catch(() => undefined);
    return done;
  },

  splitDataset({ dataset, valFraction, seed }) {
    const entry = datasetOf(dataset);
    return using([entry], async () => {
      await entry.adding;
      const { train, val } = entry.core.split(valFraction, seedNumber(seed));
      const trainPart = entry.core.subset(train);
      try {
        return {
          val: keepDataset(entry.core.subset(val), entry),
          train: keepDataset(trainPart, entry),
        };
      } catch (error) {
        trainPart.delete();
        throw error;
      }
    });
  },

  subsetDataset({ dataset, indices }) {
    const entry = datasetOf(dataset);
    return using([entry], async () => {
      await entry.adding;
      const checked = Uint32Array.from(indices, (index) => wholeNumber('index', index, 0, 0));
      return keepDataset(entry.core.subset(checked), entry);
    });
  },

  counts({ dataset }) {
    return datasetOf(dataset).core.counts();
  },

  entries({ dataset }) {
    const { core } = datasetOf(dataset);
    return Array.from({ length: core.size() }, (_, i) => ({ label: core.label(i), name: core.name(i) }));
  },

  pixels({ dataset, index }) {
    return datasetOf(dataset).core.pixels(wholeNumber('index', index, 0, 0));
  },

  augmented({ dataset, index, augment, seed, epoch }) {
    const { core } = datasetOf(dataset);
    return core.augmented(
      wholeNumber('index', index, 0, 0),
      JSON.stringify(augment),
      seedNumber(seed),
      wholeNumber('epoch', epoch, 1, 1),
    );
  },

  disposeDataset({ dataset }) {
    dispose(datasets, dataset);
    return undefined;
  },

  async createModel({ spec, classes, seed, pretrained }) {
    const { core, backend } = started();
    const weights = pretrained && (await bytesOf(pretrained));
    const model = core.Model.create(backend, JSON.stringify(spec), classes, seedNumber(seed));
    try {
      if (weights) model.loadPretrained(weights, 'the file of pretrained weights');
    } catch (error) {
      model.delete();
      throw error;
    }
    return keepModel(model, false);
  },

  async loadModel({ file, name }) {
    const { core, backend } = started();
    return keepModel(core.Model.load(backend, await bytesOf(file), name), true);
  },

  saveModel({ model, training }) {
    return modelOf(model).core.save(JSON.stringify(training));
  },

  exportOnnx({ model, form, training }) {
    if (form !== 'network' && form !== 'classifier')
      throw new Error(`form expected 'network' or 'classifier', got ${JSON.stringify(form)}`);
    // The record is kept on the other side: a model from a file has it, and its ONNX file too.
    const { core, backend } = started();
    const withRecord = core.Model.load(backend, modelOf(model).core.save(JSON.stringify(training)), 'the model');
    try {
      return withRecord.exportOnnx(form === 'classifier');
    } finally {
      withRecord.delete();
    }
  },

  exportTorch({ model, weights }) {
    return modelOf(model).core.exportTorch(weights);
  },

  classify({ model, image }) {
    const entry = modelOf(model);
    return using([entry], async () => {
      let probabilities: Float32Array = new Float32Array();
      await withImage(image, (decoded) => {
        probabilities = entry.core.classify(decoded);
      });
      return Array.from(probabilities, (probability, c) => ({ label: entry.classes[c] ?? '', probability })).sort(
        (a, b) => b.probability - a.probability,
      );
    });
  },

  heatMap({ model, image, label }) {
    const entry = modelOf(model);
    const index = labelIndex(label, entry.classes);
    return using([entry], async () => {
      let map: HeatMap = { data: new Float32Array(), height: 0, width: 0 };
      await withImage(image, (decoded) => {
        map = entry.core.heatMap(decoded, index);
      });
      return map;
    });
  },

  train(
    {
      model: modelHandle,
      data: dataHandle,
      val: valHandle,
      settings,
      resumeFrom,
      keepStates,
      stateSteps,
      stateSeconds,
      leastStateSeconds,
    },
    call,
  ) {
    const { core, info } = started();
    const model = modelOf(modelHandle),
      data = datasetOf(dataHandle);
    const val = valHandle === undefined ? undefined : datasetOf(valHandle);
    const sets = val ? [data, val] : [data];
    const every = stateSteps === undefined ? undefined : wholeNumber('stateSteps', stateSteps, 1, 1);
    for (const set of sets) checkFits(model, set);
    // What was trained before is gone on from; a state has had its start.
    const { nearestMeanStart: wished, ...others } = settings;
    const start = model.trained ? false : wished;
    const asked = resumeFrom || start === undefined ? others : { ...others, nearestMeanStart: start };
    const recipe = JSON.stringify(recipeOf(asked));
    if (model.training) throw new Error('this model is being trained already');
    model.training = true;
    return using([model, ...sets], () =>
      reading(sets, async () => {
        const state = resumeFrom && (await bytesOf(resumeFrom));
        const start = (): CoreTrainingRun => {
          const run = state
            ? core.TrainingRun.resume(model.core, data.core, val?.core ?? null, state, recipe)
            : core.TrainingRun.start(model.core, data.core, recipe, JSON.stringify({ init: model.trained }));
          model.trained = true;
          return run;
        };
        const ended = await trainLoop({
          core,
          val: val?.core,
          start,
          stateSteps: every,
          stateSeconds: stateSeconds ?? Infinity,
          leastStateSeconds: leastStateSeconds ?? 0,
          stopped: () => call.stopped,
          paused: () => call.paused,
          report: (steps, epoch) => {
            call.progress({ type: 'training', steps, ...(epoch && { epoch }) });
          },
          resumed: state
            ? (event) => {
                call.progress({ type: 'resumed', event });
              }
            : undefined,
          prepared: (at) => {
            call.progress({ type: 'preparing', at });
          },
          firstAnswer: (event) => {
            call.progress({ type: 'firstAnswer', event });
          },
          keep: keepStates
            ? (bytes, at) => {
                call.progress({ type: 'state', state: bytes, ...at }, bytes.buffer);
              }
            : undefined,
        });
        const training = trainingRecord({
          info,
          ...ended,
          classes: data.classes,
          trainCounts: data.core.counts(),
          valCounts: val?.core.counts(),
        });
        return { history: ended.history, training };
      }),
    ).finally(() => {
      model.training = false;
    });
  },

  evaluate({ model: modelHandle, data: dataHandle, batchSize }, call) {
    const { core } = started();
    const model = modelOf(modelHandle),
      data = datasetOf(dataHandle);
    checkFits(model, data);
    return using([model, data], () =>
      reading([data], async () => {
        const scores = await evaluateLoop({
          run: core.EvaluationRun.start(model.core, data.core, wholeNumber('batchSize', batchSize, 32, 1)),
          total: data.core.size(),
          stopped: () => call.stopped,
          report: (at) => {
            call.progress({ type: 'evaluating', at });
          },
        });
        if (!scores) throw new Error('the evaluation was stopped');
        return evaluationOf(scores, model.classes);
      }),
    );
  },

  disposeModel({ model }) {
    dispose(models, model);
    return undefined;
  },
};

// ---------------------------------------------------------------- messages

/** Why nothing can be answered any more: the core has crashed and its memory is not to be trusted. */
let broken: string | undefined;
const calls = new Map<number, Call>();

/** A trap inside WebAssembly: a defect of ours, unlike the Errors that the core throws on wrong input. */
function isCrash(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}

async function answer({ id, name, takes }: CallMessage): Promise<void> {
  const call: Call = {
    stopped: false,
    paused: undefined,
    resume: () => undefined,
    progress: (progress, transfer) => {
      owner.post({ kind: 'progress', id, progress }, transfer instanceof ArrayBuffer ? [transfer] : []);
    },
  };
  calls.set(id, call);
  try {
    if (broken !== undefined) throw new Error(broken);
    // The message type pairs each name with what it takes; the compiler cannot follow that through the table.
    const gives = await (
      answers[name] as (takes: unknown, call: Call) => Calls[CallName]['gives'] | Promise<Calls[CallName]['gives']>
    )(takes, call);
    const bytes = gives && typeof gives === 'object' && 'data' in gives ? gives.data : gives;
    const buffer = bytes instanceof Uint8Array ? bytes.buffer : undefined;
    owner.post({ kind: 'result', id, gives }, buffer instanceof ArrayBuffer ? [buffer] : []);
  } catch (error) {
    let message = messageOf(error);
    if (isCrash(error)) message = broken = `the engine has crashed (${message}); load it again`;
    owner.post({ kind: 'error', id, message });
  } finally {
    calls.delete(id);
  }
}

const owner = listenToOwner((message) => {
  if (message.kind === 'call') {
    void answer(message);
    return;
  }
  const call = calls.get(message.id);
  if (!call) return;
  if (message.kind === 'stop') call.stopped = true;
  if (message.kind !== 'pause') call.resume();
  else if (!call.paused && !call.stopped) {
    call.paused = new Promise((resolve) => {
      call.resume = () => {
        call.paused = undefined;
        resolve();
      };
    });
  }
});
