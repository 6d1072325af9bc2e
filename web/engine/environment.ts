// The few things that browsers and Node do differently: starting a worker, speaking from inside one, yielding.
// Node's modules are asked from `process`, never imported, so that bundlers for the browser have nothing to stumble over.

import { PatientWorker } from './patientWorker.js';
import type { FromWorker, ToWorker } from './protocol.js';

interface NodeModules {
  'node:worker_threads': {
    Worker: new (url: URL, options?: { name?: string; execArgv?: string[] }) => NodeWorker;
    parentPort: NodePort | null;
  };
  'node:os': { availableParallelism(): number };
  'node:url': { pathToFileURL(path: string): URL };
  'node:fs/promises': { readFile(path: URL): Promise<Uint8Array> };
}

interface NodePort {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (value: unknown) => void): void;
}

interface NodeWorker {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message' | 'error' | 'messageerror', listener: (value: unknown) => void): void;
  on(event: 'exit', listener: () => void): void;
  terminate(): Promise<number>;
  ref(): void;
  unref(): void;
}

interface NodeProcess {
  getBuiltinModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name];
}

/** Node's `process`; undefined in browsers. */
export const node: NodeProcess | undefined = (() => {
  const { process } = globalThis as { process?: Partial<NodeProcess> & { type?: string } };
  // A page inside Electron is a browser that has a `process`.
  return process?.getBuiltinModule && process.type !== 'renderer' ? (process as NodeProcess) : undefined;
})();

/** A worker as its owner sees it. */
export interface WorkerPort {
  /** `transfer`: buffers that are handed over instead of copied. */
  post(message: ToWorker, transfer?: ArrayBuffer[]): void;
  onMessage: (message: FromWorker) => void;
  /** The worker is lost: it could not start, or it died. */
  onFailure: (reason: string) => void;
  /** In Node: whether the worker keeps the process alive. */
  keepAlive(alive: boolean): void;
  terminate(): void;
}

const nothing = (): void => undefined;

/** Starts worker.js. */
export function startEngineWorker(): WorkerPort {
  if (node) {
    const { Worker: NodeWorker } = node.getBuiltinModule('node:worker_threads');
    const script = './worker.js'; // a name, so that bundlers see the browser's worker below only
    // Without the flags of this process: a worker refuses some of them (--input-type), and V8's hold for the process anyway.
    const worker = new NodeWorker(new URL(script, import.meta.url), { name: 'pinhole', execArgv: [] });
    const port: WorkerPort = {
      post: (message, transfer) => {
        worker.postMessage(message, transfer);
      },
      onMessage: nothing,
      onFailure: nothing,
      keepAlive: (alive) => {
        if (alive) worker.ref();
        else worker.unref();
      },
      terminate: () => {
        void worker.terminate();
      },
    };
    worker.on('message', (message) => {
      port.onMessage(message as FromWorker);
    });
    worker.on('messageerror', () => {
      port.onFailure('a message could not be read');
    });
    worker.on('error', (error) => {
      port.onFailure(messageOf(error));
    });
    worker.on('exit', () => {
      port.onFailure('its worker has ended');
    });
    return port;
  }
  const worker = new PatientWorker<ToWorker, FromWorker>(
    () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pinhole' }),
    (message) => {
      port.onMessage(message);
    },
    (message) => {
      port.onFailure(message || 'its worker could not be started');
    },
    ({ kind }) => kind === 'loading',
  );
  const port: WorkerPort = {
    post: (message, transfer) => {
      worker.post(message, transfer);
    },
    onMessage: nothing,
    onFailure: nothing,
    keepAlive: nothing,
    terminate: () => {
      worker.terminate();
    },
  };
  return port;
}

/** The worker's own end. `transfer`: buffers that are handed over instead of copied. */
export interface OwnerPort {
  post(message: FromWorker, transfer?: ArrayBuffer[]): void;
}

/** Called by the worker while its script is first run: a browser drops messages that come before there is a listener. */
export function listenToOwner(onMessage: (message: ToWorker) => void): OwnerPort {
  if (node) {
    const { parentPort } = node.getBuiltinModule('node:worker_threads');
    if (!parentPort) throw new Error('worker.js runs as a worker, started by load()');
    parentPort.on('message', (message) => {
      onMessage(message as ToWorker);
    });
    return {
      post: (message, transfer) => {
        parentPort.postMessage(message, transfer);
      },
    };
  }
  const scope = globalThis as unknown as {
    postMessage(message: unknown, transfer: ArrayBuffer[]): void;
    onmessage: (event: MessageEvent<ToWorker>) => void;
  };
  scope.onmessage = (event) => {
    onMessage(event.data);
  };
  return {
    post: (message, transfer) => {
      scope.postMessage(message, transfer ?? []);
    },
  };
}

/**
 * Lets other messages in, as soon as possible. Browsers hold setTimeout back by 4 ms, so a message to oneself it is;
 * Node would handle up to a thousand such messages before it looks elsewhere, and has setImmediate.
 */
export const yieldToMessages: () => Promise<void> = (() => {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
  if (node && setImmediate)
    return () =>
      new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
  const waiting: (() => void)[] = [];
  let channel: MessageChannel | undefined;
  return () =>
    new Promise<void>((resolve) => {
      if (!channel) {
        channel = new MessageChannel();
        channel.port1.onmessage = () => {
          waiting.shift()?.();
        };
      }
      waiting.push(resolve);
      channel.port2.postMessage(undefined);
    });
})();

/** Cores of this machine. */
export function coreCount(): number {
  return node ? node.getBuiltinModule('node:os').availableParallelism() : navigator.hardwareConcurrency;
}

/** The address of a folder, ending in a slash. A path is taken relative to the page or to Node's working directory. */
export function folderUrl(location: string | URL): string {
  let url: string;
  if (location instanceof URL || /^[a-z][a-z0-9+.-]+:/i.test(location)) url = location.toString();
  else if (node) url = node.getBuiltinModule('node:url').pathToFileURL(location).href;
  else url = new URL(location, globalThis.location.href).href;
  return url.endsWith('/') ? url : `${url}/`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
