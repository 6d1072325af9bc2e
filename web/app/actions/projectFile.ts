// Saves the whole project as one zip file, and opens it again: data, settings, curves, evaluation and model.
import { hasImageExtension } from '../files/folders';
import type { FoundFile } from '../files/found';
import { freeName, modelFile, projectFile, zipOf, type ZipEntry } from '../files/projectZip';
import { Reader } from '../files/reader';
import { filesInZip } from '../files/zip';
import { plural } from '../components/words';
import { engine } from '../engine';
import { specFor } from '../models';
import {
  classes,
  currentModel,
  isBusy,
  reading,
  readReport,
  saving,
  settings,
  type Credit,
  type Photo,
} from '../state';
import { idsFrom, newId, nextId } from '../store/ids';
import { pictureOf } from '../store/pictures';
import { bringBack, keptNow, projectFormat, type Kept } from '../store/project';
import { announce } from './announce';
import { download } from './download';
import { clearErrors, messageOf, showError } from './errors';
import { adoptModel } from './model';
import { modelInUse } from './modelInUse';
import { newProject } from './project';

/** project.json. Photos are named by their ids, as the evaluation names them. */
interface ProjectJson {
  readonly pinhole_project: number;
  readonly nextId: number;
  readonly classes: readonly {
    readonly id: number;
    readonly name: string;
    readonly folder: string;
    readonly photos: readonly {
      readonly id: number;
      readonly name: string;
      readonly file: string;
      readonly credit?: Credit;
    }[];
  }[];
  readonly kept: Omit<Kept, 'classes'>;
}

const largestJson = 256 << 20;

export async function saveProject(): Promise<void> {
  if (isBusy.value || reading.value || saving.value) return;
  clearErrors('data');
  try {
    const { classes: all, ...kept } = keptNow();
    const folders = new Set([projectFile, modelFile]);
    const entries: ZipEntry[] = [];
    const listed = all.map(({ id, name, photos }) => {
      const folder = freeName(name, folders);
      const taken = new Set<string>();
      return {
        id,
        name,
        folder,
        photos: photos.map(({ id: photoId, name: photoName, credit }) => {
          // Elsewhere a file is known as a picture by the end of its name.
          const file = freeName(hasImageExtension(photoName) ? photoName : `${photoName}.jpg`, taken);
          entries.push({ path: `${folder}/${file}`, open: () => pictureOf(photoId) });
          return { id: photoId, name: photoName, file, ...(credit && { credit }) };
        }),
      };
    });
    const json: ProjectJson = { pinhole_project: projectFormat, nextId: nextId(), classes: listed, kept };
    const model = modelInUse();
    if (model)
      entries.push({ path: modelFile, open: async () => new Blob([(await model.save()) as Uint8Array<ArrayBuffer>]) });
    entries.unshift({ path: projectFile, open: () => Promise.resolve(new Blob([JSON.stringify(json, null, 1)])) });
    saving.value = { done: 0, total: entries.length };
    const zip = await zipOf(entries, (done) => (saving.value = { done, total: entries.length }));
    download(zip, 'pinhole-project.zip', 'application/zip');
    announce('The project is saved.');
  } catch (error) {
    showError('data', `The project could not be saved: ${messageOf(error)}`);
  } finally {
    saving.value = null;
  }
}

/** In place of the present project, once the file is known to be one. */
export async function openProjectFile(file: File): Promise<void> {
  if (isBusy.value || reading.value || saving.value) return;
  clearErrors('data');
  try {
    const inside = new Map((await filesInZip(file)).map((one) => [one.path.slice(1).join('/'), one.file]));
    const json = await readJson(file.name, inside.get(projectFile));
    await newProject();
    await readProject(json, inside);
    const model = inside.get(modelFile);
    const about = json.kept.currentModel;
    if (model && about) await adoptModel(await (await engine()).loadModel(await model.open(), about.fileName), about);
    announce(`The project with ${plural(classes.value.length, 'class', 'classes')} is open.`);
  } catch (error) {
    showError('data', messageOf(error));
  } finally {
    reading.value = null;
  }
}

async function readJson(zipName: string, found: FoundFile | undefined): Promise<ProjectJson> {
  if (!found)
    throw new Error(
      `${zipName} is no project of this page: there is no ${projectFile} in it. To add its images, choose it with "Zip".`,
    );
  const text = await found.open();
  if (text.size > largestJson) throw new Error(`${zipName}: its ${projectFile} is too large`);
  let json: unknown;
  try {
    json = JSON.parse(await text.text());
  } catch {
    throw new Error(`${zipName}: its ${projectFile} is damaged`);
  }
  if (!isProject(json)) throw new Error(`${zipName}: its ${projectFile} is damaged or of another version`);
  return json;
}

function isProject(json: unknown): json is ProjectJson {
  const { pinhole_project: format, classes: all, kept } = (json ?? {}) as Partial<ProjectJson>;
  return (
    format === projectFormat &&
    Array.isArray(all) &&
    all.every(
      (one: Partial<ProjectJson['classes'][number]> | null) =>
        typeof one?.name === 'string' && typeof one.folder === 'string' && Array.isArray(one.photos),
    ) &&
    typeof kept === 'object'
  );
}

async function readProject(json: ProjectJson, inside: ReadonlyMap<string, FoundFile>): Promise<void> {
  idsFrom(json.nextId);
  const total = json.classes.reduce((sum, { photos }) => sum + photos.length, 0);
  reading.value = { done: 0, total };
  const unreadable: { name: string; message: string }[] = [];
  const reader = await Reader.open(specFor({ ...settings.value, ...json.kept.chosenSettings }).input, total);
  let done = 0;
  try {
    const read = [];
    for (const { id, name, folder, photos: listed } of json.classes) {
      const photos: Photo[] = [];
      const files = listed.map(({ file, ...one }): FoundFile => {
        const found = inside.get(`${folder}/${file}`);
        const missing = (): Promise<Blob> => Promise.reject(new Error('it is missing in the zip file'));
        return { ...one, open: found?.open ?? missing };
      });
      for await (const result of reader.read(files, new AbortController().signal)) {
        reading.value = { done: ++done, total };
        if ('photo' in result) photos.push(result.photo);
        else if (result.isFull) throw new Error(result.failure);
        else unreadable.push({ name: result.name, message: result.failure });
      }
      read.push({ id: Number.isSafeInteger(id) ? id : newId(), name, photos });
    }
    bringBack({ ...json.kept, classes: read });
    currentModel.value = null;
    if (unreadable.length > 0)
      readReport.value = {
        added: total - unreadable.length,
        cancelled: false,
        ignored: 0,
        unreadable,
        emptyClasses: [],
      };
  } finally {
    reader.close();
  }
}
