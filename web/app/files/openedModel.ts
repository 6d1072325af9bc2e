// A model that was chosen or dropped: a file of ours, or what Teachable Machine gives, a zip or the three files in it.
import { arrived } from '../arrived';
import type { Model, Pinhole } from '../../engine/index';
import { isZip } from './folders';
import { filesInZip } from './zip';

export interface OpenedModel {
  readonly model: Model;
  /** What it is called when it is saved. */
  readonly fileName: string;
}

const mostBytes = 256 << 20;

export async function openedModel(pinhole: Pinhole, files: readonly File[]): Promise<OpenedModel> {
  const [first] = files;
  if (!first) throw new Error('no file was chosen');
  const own = files.find(({ name }) => name.toLowerCase().endsWith('.safetensors'));
  if (own) return { model: await pinhole.loadModel(own, own.name), fileName: own.name };
  const parts = isZip(first) ? await partsInZip(first) : Object.fromEntries(files.map((file) => [file.name, file]));
  if (!('model.json' in parts))
    throw new Error(
      isZip(first)
        ? `${first.name} holds no model.json, as a model of Teachable Machine does; a saved project is opened with "Open a project".`
        : `${first.name} is no model; expected a .safetensors file, or metadata.json, model.json and weights.bin of Teachable Machine together.`,
    );
  // Asked for here, so that it is said as elsewhere when it does not come.
  await arrived(import('../../engine/import/teachableMachine'));
  const model = await pinhole.importTeachableMachine(parts);
  return { model, fileName: `${model.summary().name}.safetensors` };
}

/** Otherwise its pictures are meant. */
export async function holdsModel(zip: File): Promise<boolean> {
  return (await filesInZip(zip)).some(({ file }) => file.name === 'model.json');
}

async function partsInZip(zip: File): Promise<Record<string, Blob>> {
  const parts: Record<string, Blob> = {};
  let size = 0;
  for (const { path, file } of await filesInZip(zip)) {
    if (path.includes('__MACOSX') || !/\.(json|bin)$/i.test(file.name)) continue;
    const blob = await file.open();
    size += blob.size;
    if (size > mostBytes) throw new Error(`${zip.name} holds more than ${mostBytes >> 20} MB`);
    parts[file.name] = blob;
  }
  return parts;
}
