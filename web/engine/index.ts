// The public module `pinhole`: load() starts an engine in a worker of its own; everything else hangs off what it returns.
// The same in browsers and in Node 20; nothing here blocks the caller.

export { load, rgbaOf, Dataset, Model, Pinhole } from './client.js';
export { describeState } from './trainingState.js';
export type { TrainingRun, TrainOptions } from './client.js';
export type { TeachableMachineFiles } from './import/teachableMachine.js';
export type * from './types.js';
