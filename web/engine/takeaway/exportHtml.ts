// Gathers what the self-contained HTML file is made of: the model, the engine, the script around them. Loaded when it is asked for.
import { node } from '../environment.js';
import type { HtmlOptions, TrainingRecord } from '../types.js';
import { htmlFile } from './html.js';

/** What of a model is in the file. */
export interface HtmlModel {
  readonly name: string;
  readonly classes: readonly string[];
  readonly training: TrainingRecord;
  /** The .safetensors file. */
  readonly file: Uint8Array;
}

/** `wasmUrl`: the engine's folder. `here`: the address of the module, which `options.runtimeUrl` is relative to. */
export async function exportHtml(
  { name, classes, training, file }: HtmlModel,
  wasmUrl: string,
  here: string,
  options: HtmlOptions,
): Promise<string> {
  const { title = name, about = `Tells ${classes.join(', ')} apart.` } = options;
  const found = (training['calibration'] as { threshold?: unknown } | undefined)?.threshold;
  const threshold = options.threshold ?? (typeof found === 'number' ? found : 0);
  const text = async (address: string): Promise<string> => new TextDecoder().decode(await readUrl(address));
  const [glue, wasm, runtime] = await Promise.all([
    text(`${wasmUrl}simd/pinhole.mjs`),
    readUrl(`${wasmUrl}simd/pinhole.wasm`),
    text(new URL(options.runtimeUrl ?? 'htmlRuntime.js', here).href),
  ]);
  return htmlFile({ name: title, about, classes, threshold, model: file, glue, wasm, runtime });
}

/** The bytes behind an address. Node's fetch does not read files. */
async function readUrl(address: string): Promise<Uint8Array> {
  if (node && address.startsWith('file:')) return node.getBuiltinModule('node:fs/promises').readFile(new URL(address));
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} was answered with ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
