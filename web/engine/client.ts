// The engine's public classes. Each is a thin hand on something that lives in the worker; a call is one message there and
// one back. Whatever has dispose() holds memory until dispose() is called (the garbage collector is a help, no promise).

import { folderUrl, messageOf, startEngineWorker, type WorkerPort } from './environment.js';
import type { TeachableMachineFiles } from './import/teachableMachine.js';
import type { Calls, CallName, FromWorker, Handle, ModelCreated, Part, Progress, ToWorker } from './protocol.js';
import type {
  AddOptions,
  AddResult,
  AugmentedOptions,
  AugmentTransform,
  DatasetEntry,
  DatasetItem,
  DatasetOptions,
  EngineInfo,
  EpochEvent,
  PreparingProgress,
  EvaluateOptions,
  Evaluation,
  FirstAnswerEvent,
  HeatMap,
  History,
  HtmlOptions,
  ImageSource,
  InputSize,
  LoadOptions,
  MemoryUse,
  ModelOptions,
  ModelSpec,
  ModelSummary,
  OnnxOptions,
  DecodedPixels,
  Pixels,
  Prediction,
  RgbaImage,
  ResumeEvent,
  StepEvent,
  TorchOptions,
  TrainSettings,
  TrainingRecord,
  TrainingStateEvent,
  Variant,
} from './types.js';

interface PendingCall {
  resolve(gives: unknown): void;
  reject(error: Error): void;
  onProgress?: ((progress: Progress) => void) | undefined;
}

interface CallOptions {
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Aborting asks the worker to end the call; the promise settles when it has. */
  signal?: AbortSignal | undefined;
  /** Buffers that are handed over instead of copied. */
  transfer?: ArrayBuffer[];
}

/** The worker and the calls that wait for it. */
class Connection {
  private readonly pending = new Map<number, PendingCall>();
  private lastId = 0;
  private lost: string | undefined;

  constructor(
    private readonly port: WorkerPort,
    readonly wasmUrl: string,
  ) {
    port.onMessage = (message) => {
      this.receive(message);
    };
    port.onFailure = (reason) => {
      this.fail(reason);
    };
    port.keepAlive(false);
  }

  call<Name extends CallName>(
    name: Name,
    takes: Calls[Name]['takes'],
    options: CallOptions = {},
  ): Promise<Calls[Name]['gives']> {
    return this.start(name, takes, options).done;
  }

  start<Name extends CallName>(
    name: Name,
    takes: Calls[Name]['takes'],
    { onProgress, signal, transfer }: CallOptions = {},
  ): { done: Promise<Calls[Name]['gives']>; tell: (kind: 'stop' | 'pause' | 'resume') => void } {
    if (this.lost !== undefined) return { done: Promise.reject(new Error(this.lost)), tell: () => undefined };
    const id = ++this.lastId;
    const tell = (kind: 'stop' | 'pause' | 'resume'): void => {
      if (this.pending.has(id)) this.port.post({ kind, id });
    };
    const stop = (): void => {
      tell('stop');
    };
    const done = new Promise<Calls[Name]['gives']>((resolve, reject) => {
      const settle = (): void => {
        signal?.removeEventListener('abort', stop);
      };
      this.pending.set(id, {
        resolve: (gives) => {
          settle();
          resolve(gives as Calls[Name]['gives']);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
        onProgress,
      });
      try {
        this.port.post({ kind: 'call', id, name, takes } as ToWorker, transfer);
      } catch (error) {
        // something in `takes` cannot be sent to a worker
        this.pending.delete(id);
        reject(error instanceof Error ? error : new Error(messageOf(error)));
        return;
      }
      this.port.keepAlive(true);
      signal?.addEventListener('abort', stop);
      if (signal?.aborted) stop();
    });
    return { done, tell };
  }

  close(): void {
    this.fail('this engine was disposed');
    this.port.terminate();
  }

  private receive(message: FromWorker): void {
    if (message.kind === 'loading') return;
    const call = this.pending.get(message.id);
    if (!call) return;
    if (message.kind === 'progress') {
      try {
        call.onProgress?.(message.progress);
      } catch (error) {
        // thrown by the caller's own callback: the call ends with it
        call.onProgress = undefined;
        call.reject(error instanceof Error ? error : new Error(messageOf(error)));
        this.port.post({ kind: 'stop', id: message.id });
      }
      return;
    }
    this.pending.delete(message.id);
    if (this.pending.size === 0) this.port.keepAlive(false);
    if (message.kind === 'result') call.resolve(message.gives);
    else call.reject(new Error(message.message));
  }

  private fail(reason: string): void {
    if (this.lost !== undefined) return;
    this.lost = `the engine has stopped: ${reason}`;
    for (const call of this.pending.values()) call.reject(new Error(this.lost));
    this.pending.clear();
  }
}

/** Frees in the worker what was forgotten here. */
const forgotten = new FinalizationRegistry<() => void>((free) => {
  free();
});

/** Starts an engine: picks the best build for this browser or Node, and its worker and threads. */
export async function load(options: LoadOptions = {}): Promise<Pinhole> {
  // Kept apart from import.meta.url, so that bundlers do not take the folder for a file to copy.
  const here = import.meta.url;
  const wasmUrl = folderUrl(options.wasmUrl ?? new URL('wasm/', here));
  const connection = new Connection(startEngineWorker(), wasmUrl);
  try {
    const info = await connection.call('load', { ...options, wasmUrl });
    return new Pinhole(connection, info);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** A running engine. */
export class Pinhole {
  /** @internal */
  constructor(
    private readonly connection: Connection,
    readonly info: EngineInfo,
  ) {}

  get variant(): Variant {
    return this.info.variant;
  }
  get threads(): number {
    return this.info.threads;
  }
  get description(): string {
    return this.info.description;
  }

  /** An empty set of labelled images. */
  async createDataset(options: DatasetOptions): Promise<Dataset> {
    const { classes, input, crop } = options;
    const takes = { classes: [...classes], input: [...input] as const, crop };
    const dataset = await this.connection.call('createDataset', takes);
    return new Dataset(this.connection, { dataset, size: 0 }, classes, input);
  }

  /** A model with fresh weights. An impossible spec is an Error that names the layer. */
  async createModel(spec: ModelSpec, options: ModelOptions): Promise<Model> {
    const { classes, seed = 0, pretrained } = options;
    const takes = { spec, classes: [...classes], seed, ...(pretrained && { pretrained }) };
    return new Model(this.connection, await this.connection.call('createModel', takes));
  }

  /** A model from a .safetensors file that save(), native_train or PyTorch's side wrote. `name` starts error messages. */
  async loadModel(file: Uint8Array | ArrayBuffer | Blob, name = nameOf(file, 'the model file')): Promise<Model> {
    return new Model(this.connection, await this.connection.call('loadModel', { file, name }));
  }

  /**
   * An image model that was exported from Teachable Machine (TensorFlow.js, "download"): its files by their names, metadata.json,
   * model.json and weights.bin. It gives the same answers: as there, only the middle of a picture is looked at (spec.crop).
   * Fails with a sentence that names a layer which Pinhole does not have.
   */
  async importTeachableMachine(files: TeachableMachineFiles): Promise<Model> {
    const { importTeachableMachine } = await import('./import/teachableMachine.js');
    const { spec, classes, weights, training } = await importTeachableMachine(files);
    const model = await this.createModel(spec, { classes, pretrained: weights });
    model.training = training;
    return model;
  }

  /** One image as a model with this input sees it. Fails when it cannot be read. */
  async decode(image: ImageSource, input: InputSize): Promise<DecodedPixels> {
    const [height, width, channels] = input;
    return {
      ...(await this.connection.call('decode', { image, input: [...input] as const })),
      height,
      width,
      channels,
    };
  }

  memory(): Promise<MemoryUse> {
    return this.connection.call('memory', {});
  }

  /** Ends the worker and frees everything. Calls under way fail. */
  dispose(): void {
    this.connection.close();
  }
}

/** Labelled images, held at the model's input size. */
export class Dataset {
  private size_: number;
  /** @internal */
  readonly handle: Handle;
  private disposed: Promise<void> | undefined;

  /** @internal */
  constructor(
    private readonly connection: Connection,
    part: Part,
    readonly classes: readonly string[],
    readonly input: InputSize,
  ) {
    this.handle = part.dataset;
    this.size_ = part.size;
    const { dataset } = part;
    forgotten.register(
      this,
      () => {
        connection.call('disposeDataset', { dataset }).catch(() => undefined);
      },
      this,
    );
  }

  /** How many images it holds. */
  get size(): number {
    return this.size_;
  }

  /** Decodes, resizes and keeps one image. Fails when it cannot be read. */
  async add(image: ImageSource, label: number | string, name = nameOf(image, '')): Promise<void> {
    const { skipped } = await this.addMany([{ image, label, name }]);
    const [failure] = skipped;
    if (failure) throw new Error(failure.reason);
  }

  /** Pixels instead of a file. */
  addRgba(image: RgbaImage, label: number | string, name = ''): Promise<void> {
    return this.add(image, label, name);
  }

  /** Adds what can be read and tells what could not, and why. */
  async addMany(items: readonly DatasetItem[], options: AddOptions = {}): Promise<AddResult> {
    const { onProgress, signal, transfer } = options;
    const named = items.map((item) => ({ ...item, name: item.name ?? nameOf(item.image, '') }));
    const { size, ...result } = await this.connection.call(
      'addImages',
      { dataset: this.handle, items: named },
      {
        signal,
        onProgress:
          onProgress &&
          ((progress) => {
            if (progress.type === 'adding') onProgress(progress.at);
          }),
        transfer: transfer ? buffersOf(items) : [],
      },
    );
    this.size_ = size;
    signal?.throwIfAborted();
    return result;
  }

  /** Two new sets: `valFraction` of every class for validation, the rest for training. The same seed, the same split. */
  async split(valFraction: number, seed = 0): Promise<{ train: Dataset; val: Dataset }> {
    const { train, val } = await this.connection.call('splitDataset', { dataset: this.handle, valFraction, seed });
    return { train: this.part(train), val: this.part(val) };
  }

  /** A new set of the images at `indices`, in that order. */
  async subset(indices: readonly number[]): Promise<Dataset> {
    return this.part(await this.connection.call('subsetDataset', { dataset: this.handle, indices: [...indices] }));
  }

  /** How many images each class has. */
  counts(): Promise<number[]> {
    return this.connection.call('counts', { dataset: this.handle });
  }

  /** Label and name of every image. */
  entries(): Promise<DatasetEntry[]> {
    return this.connection.call('entries', { dataset: this.handle });
  }

  /** One image as the model sees it. */
  async pixels(index: number): Promise<Pixels> {
    const [height, width, channels] = this.input;
    return { data: await this.connection.call('pixels', { dataset: this.handle, index }), height, width, channels };
  }

  /** One image as a training with these `augment` settings sees it, for a preview: other seeds and epochs give other looks. */
  async augmented(
    index: number,
    augment: readonly AugmentTransform[],
    options: AugmentedOptions = {},
  ): Promise<Pixels> {
    const [height, width, channels] = this.input;
    const data = await this.connection.call('augmented', { dataset: this.handle, index, augment, ...options });
    return { data, height, width, channels };
  }

  /** The same for a canvas: `new ImageData(rgba.data, rgba.width, rgba.height)`. */
  async rgba(index: number): Promise<{ data: Uint8ClampedArray<ArrayBuffer>; width: number; height: number }> {
    return rgbaOf(await this.pixels(index));
  }

  /** Frees its memory; a training that uses it keeps it until it ends. */
  dispose(): Promise<void> {
    forgotten.unregister(this);
    return (this.disposed ??= this.connection.call('disposeDataset', { dataset: this.handle }));
  }

  private part(part: Part): Dataset {
    return new Dataset(this.connection, part, this.classes, this.input);
  }
}

export interface TrainOptions extends TrainSettings {
  /** Evaluated after every epoch. */
  val?: Dataset;
  /** With resumeFrom: where it goes on, before anything else. */
  onResume?: (event: ResumeEvent) => void;
  /** Before the first step, where the model has frozen layers. */
  onPrepare?: (progress: PreparingProgress) => void;
  /** With nearestMeanStart: as soon as the model can answer, which is while layers are still being prepared if there are several views. */
  onFirstAnswer?: (event: FirstAnswerEvent) => void;
  /** For every step. Steps arrive in small batches. */
  onStep?: (event: StepEvent) => void;
  onEpoch?: (event: EpochEvent) => void;
  /** Aborting is stop(). */
  signal?: AbortSignal;
  /**
   * Called with the whole state of the training after every epoch and when it is stopped: keep the latest one, and nothing is
   * lost when the tab goes away.
   */
  onState?: (event: TrainingStateEvent) => void;
  /** onState every so many steps too. */
  stateSteps?: number;
  /** onState between steps too, about every so many seconds, in epochs that take longer. Default: after epochs only. */
  stateSeconds?: number;
  /** No onState at an epoch's end so few seconds after the one before. Default 0: after every epoch. */
  leastStateSeconds?: number;
  /**
   * A state from onState, or from native_train's --checkpoint: goes on from there, bit for bit as if there had been no pause
   * (onResume says where that cannot be). The model must be one of the same spec, the images the same in the same order.
   * Settings that are left out are the state's; those that are given must agree with it.
   */
  resumeFrom?: Uint8Array | ArrayBuffer | Blob;
}

/**
 * The promise of a training's history. stop() ends it after the present step; pause() holds it there until resume(), and the
 * model can be used meanwhile.
 */
export type TrainingRun = Promise<History> & { stop(): void; pause(): void; resume(): void };

/** A network and its weights. */
export class Model {
  readonly spec: ModelSpec;
  /** Class names, in label order. */
  readonly classes: readonly string[];
  /** The training record: of the file it came from, or of the latest training. */
  training: TrainingRecord;
  private readonly summary_: ModelSummary;
  private readonly handle: Handle;
  private disposed: Promise<void> | undefined;

  /** @internal */
  constructor(
    private readonly connection: Connection,
    { model, summary, spec, training }: ModelCreated,
  ) {
    this.handle = model;
    this.summary_ = summary;
    this.spec = spec;
    this.training = training;
    this.classes = summary.classes;
    forgotten.register(
      this,
      () => {
        connection.call('disposeModel', { model }).catch(() => undefined);
      },
      this,
    );
  }

  /** Layers, output shapes, parameters. */
  summary(): ModelSummary {
    return this.summary_;
  }

  /** Classes and probabilities, the most probable first. */
  classify(image: ImageSource): Promise<Prediction[]> {
    return this.connection.call('classify', { model: this.handle, image });
  }

  /** Grad-CAM, element by element: what in the image speaks for a class (its name or index). */
  heatMap(image: ImageSource, label: number | string): Promise<HeatMap> {
    return this.connection.call('heatMap', { model: this.handle, image, label });
  }

  /** Trains step by step. Other calls are answered between steps, classify() on this very model included. */
  train(data: Dataset, options: TrainOptions = {}): TrainingRun {
    const { val, onResume, onPrepare, onFirstAnswer, onStep, onEpoch, onState, ...rest } = options;
    const { stateSteps, stateSeconds, leastStateSeconds, resumeFrom, signal, ...settings } = rest;
    const { done, tell } = this.connection.start(
      'train',
      {
        model: this.handle,
        data: data.handle,
        ...(val && { val: val.handle }),
        settings,
        ...(resumeFrom && { resumeFrom }),
        keepStates: onState !== undefined,
        ...(stateSteps !== undefined && { stateSteps }),
        ...(stateSeconds !== undefined && { stateSeconds }),
        ...(leastStateSeconds !== undefined && { leastStateSeconds }),
      },
      {
        signal,
        onProgress: (progress) => {
          if (progress.type === 'state') {
            onState?.({ state: progress.state, step: progress.step, epoch: progress.epoch });
          }
          if (progress.type === 'resumed') onResume?.(progress.event);
          if (progress.type === 'preparing') onPrepare?.(progress.at);
          if (progress.type === 'firstAnswer') onFirstAnswer?.(progress.event);
          if (progress.type !== 'training') return;
          for (const step of progress.steps) onStep?.(step);
          if (progress.epoch) onEpoch?.(progress.epoch);
        },
      },
    );
    const history = done.then((ended) => {
      this.training = ended.training;
      return ended.history;
    });
    return Object.assign(history, {
      stop: () => {
        tell('stop');
      },
      pause: () => {
        tell('pause');
      },
      resume: () => {
        tell('resume');
      },
    });
  }

  /** Loss, accuracy, confusion matrix, precision and recall on labelled images. */
  async evaluate(data: Dataset, options: EvaluateOptions = {}): Promise<Evaluation> {
    const { batchSize = 32, onProgress, signal } = options;
    try {
      return await this.connection.call(
        'evaluate',
        { model: this.handle, data: data.handle, batchSize },
        {
          signal,
          onProgress:
            onProgress &&
            ((progress) => {
              if (progress.type === 'evaluating') onProgress(progress.at);
            }),
        },
      );
    } finally {
      signal?.throwIfAborted(); // whether it had ended before or not
    }
  }

  /** The probabilities of every image of a data set, in its order: as many values each as there are classes. */
  async predictAll(data: Dataset, options: EvaluateOptions = {}): Promise<Float32Array> {
    return (await this.evaluate(data, options)).probabilities;
  }

  /** The bytes of a .safetensors file, as native_train writes and PyTorch reads. `training` is kept in its metadata. */
  save(training: TrainingRecord = this.training): Promise<Uint8Array> {
    return this.connection.call('saveModel', { model: this.handle, training });
  }

  /**
   * The bytes of an .onnx file (opset 18). Its output `probabilities` is float [batch, classes]; the class names are in its
   * metadata under `classes`.
   */
  exportOnnx(options: OnnxOptions = {}): Promise<Uint8Array> {
    return this.connection.call('exportOnnx', {
      model: this.handle,
      form: options.form ?? 'network',
      training: this.training,
    });
  }

  /**
   * The model as a Python file for PyTorch: the nn.Module, transform(), load() and predict(path). It reads its weights from
   * `weights`, the file that save() gives, in its own folder.
   */
  exportTorch(options: TorchOptions = {}): Promise<string> {
    return this.connection.call('exportTorch', { model: this.handle, weights: options.weights ?? 'model.safetensors' });
  }

  /** One HTML file that classifies pictures and the camera, from a disk and without a network: the model and the engine are in it. */
  async exportHtml(options: HtmlOptions = {}): Promise<string> {
    const here = import.meta.url; // kept apart, as in load()
    const { exportHtml } = await import('./takeaway/exportHtml.js');
    const { classes, training } = this;
    const model = { name: this.summary_.name, classes, training, file: await this.save() };
    return exportHtml(model, this.connection.wasmUrl, here, options);
  }

  /** Frees its memory; a training that uses it keeps it until it ends. */
  dispose(): Promise<void> {
    forgotten.unregister(this);
    return (this.disposed ??= this.connection.call('disposeModel', { model: this.handle }));
  }
}

/** Pixels for a canvas: `new ImageData(rgba.data, rgba.width, rgba.height)`. */
export function rgbaOf({ data, width, height, channels }: Pixels): {
  data: Uint8ClampedArray<ArrayBuffer>;
  width: number;
  height: number;
} {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; ++i) {
    for (let c = 0; c < 3; ++c) rgba[i * 4 + c] = data[i * channels + (channels === 1 ? 0 : c)] ?? 0;
  }
  return { data: rgba, width, height };
}

/** Each once: several images may share one. */
function buffersOf(items: readonly DatasetItem[]): ArrayBuffer[] {
  const buffers = new Set<unknown>();
  for (const { image } of items as readonly { image: unknown }[]) {
    const bytes = typeof image === 'object' && image !== null && 'data' in image ? image.data : image;
    buffers.add(ArrayBuffer.isView(bytes) ? bytes.buffer : bytes);
  }
  return [...buffers].filter((buffer) => buffer instanceof ArrayBuffer);
}

/** A File knows its name. */
function nameOf(source: unknown, otherwise: string): string {
  return typeof source === 'object' &&
    source !== null &&
    'name' in source &&
    typeof source.name === 'string' &&
    source.name !== ''
    ? source.name
    : otherwise;
}
