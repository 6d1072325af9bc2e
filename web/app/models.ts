// The models one can choose, with what a person needs to know to choose. The networks themselves are the repository's models/*.json.
import binaryCnn from '../../models/binary_cnn.json';
import fashionCnn from '../../models/fashion_cnn.json';
import fashionResnet from '../../models/fashion_resnet.json';
import fashionResnetRecipe from '../../models/fashion_resnet.recipe.json';
import fashionSmall from '../../models/fashion_small.json';
import fashionSmallRecipe from '../../models/fashion_small.recipe.json';
import fineTune from '../../models/fine_tune.json';
import fineTuneRecipe from '../../models/fine_tune.recipe.json';
import multiclassCnn from '../../models/multiclass_cnn.json';
import pinholeMedium from '../../models/pinhole_medium.json';
import pinholeMediumRecipe from '../../models/pinhole_medium.recipe.json';
import pinholeSmall from '../../models/pinhole_small.json';
import pinholeSmallRecipe from '../../models/pinhole_small.recipe.json';
import transfer from '../../models/transfer.json';
import transferRecipe from '../../models/transfer.recipe.json';
import type { AugmentTransform, InputSize, ModelOptions, ModelSpec } from '../engine/index';
import type { ModelId, Settings } from './settings';

export interface OfferedModel {
  readonly id: ModelId;
  readonly name: string;
  readonly spec: ModelSpec;
  /** How it is trained, from beside its spec; without one as suits the images. */
  readonly recipe?: Recipe;
  readonly about: string;
  /** Why it cannot learn this number of classes; null when it can. */
  readonly refuses: (classCount: number) => string | null;
}

/** What the page reads of a recipe; the core takes all of it. */
export interface Recipe {
  readonly epochs: number;
  readonly batch_size: number;
  readonly optimizer: {
    readonly name: string;
    readonly lr: number;
    readonly weight_decay?: number;
    readonly momentum?: number;
    readonly nesterov?: boolean;
  };
  readonly schedule: { readonly type: string; readonly warmup_epochs?: number; readonly warmup_start?: number };
  readonly label_smoothing?: number;
  readonly augment: readonly AugmentTransform[];
  readonly augment_views?: number;
  readonly nearest_mean_start?: boolean;
}

// A JSON import knows its arrays only as number[]; the core checks the content.
const specOf = (json: unknown): ModelSpec => json as ModelSpec;

const anyNumber = (): null => null;

export const offeredModels: readonly OfferedModel[] = [
  {
    id: 'transfer',
    name: transfer.name,
    spec: specOf(transfer),
    recipe: transferRecipe,
    about: 'Has seen many photos before: learns yours from few, in seconds.',
    refuses: anyNumber,
  },
  {
    id: 'fine_tune',
    name: fineTune.name,
    spec: specOf(fineTune),
    recipe: fineTuneRecipe,
    about: 'The same, whose last two blocks learn too: slower, and better from some twenty photos of each class on.',
    refuses: anyNumber,
  },
  {
    id: 'pinhole_small',
    name: pinholeSmall.name,
    spec: specOf(pinholeSmall),
    recipe: pinholeSmallRecipe,
    about: 'Four convolutions that start from nothing: takes more photos, and owes nothing to anybody.',
    refuses: anyNumber,
  },
  {
    id: 'pinhole_medium',
    name: pinholeMedium.name,
    spec: specOf(pinholeMedium),
    recipe: pinholeMediumRecipe,
    about: 'Seven convolutions that start from nothing, and see finer detail: slower.',
    refuses: anyNumber,
  },
  {
    id: 'multiclass_cnn',
    name: multiclassCnn.name,
    spec: specOf(multiclassCnn),
    about: 'One convolution, for two or more classes.',
    refuses: anyNumber,
  },
  {
    id: 'binary_cnn',
    name: binaryCnn.name,
    spec: specOf(binaryCnn),
    about: 'One convolution and one output: this or that.',
    refuses: (count) => (count === 2 ? null : 'For exactly two classes.'),
  },
  {
    id: 'fashion_cnn',
    name: fashionCnn.name,
    spec: specOf(fashionCnn),
    about: 'Two convolutions on small grey pictures. Quick.',
    refuses: anyNumber,
  },
  {
    id: 'fashion_small',
    name: fashionSmall.name,
    spec: specOf(fashionSmall),
    recipe: fashionSmallRecipe,
    about: 'Seven convolutions on small grey pictures, for thousands of them.',
    refuses: anyNumber,
  },
  {
    id: 'fashion_resnet',
    name: fashionResnet.name,
    spec: specOf(fashionResnet),
    recipe: fashionResnetRecipe,
    about: 'Eleven convolutions, up to twice as wide: more accurate, in hours.',
    refuses: anyNumber,
  },
];

export function offeredModel(id: ModelId): OfferedModel {
  const found = offeredModels.find((one) => one.id === id);
  if (!found) throw new Error(`no model is called ${id}`);
  return found;
}

/** The network that is trained with these settings. */
export function specFor({ model, imageSize }: Pick<Settings, 'model' | 'imageSize'>): ModelSpec {
  const { spec } = offeredModel(model);
  return imageSize === 'model' ? spec : { ...spec, input: [imageSize, imageSize, spec.input[2]] };
}

const weights = new Map<string, Promise<Blob>>();

/** What a new model of this spec is made with: the weights that it starts from, too, where it does not start from scratch. */
export async function modelOptions(spec: ModelSpec, options: Omit<ModelOptions, 'pretrained'>): Promise<ModelOptions> {
  const { pretrained: name } = spec;
  if (typeof name !== 'string') return options;
  const file =
    weights.get(name) ??
    fetch(`./models/${name}.safetensors`).then((response) => {
      if (response.ok) return response.blob();
      throw new Error(`the pretrained weights could not be loaded (${String(response.status)})`);
    });
  weights.set(name, file);
  file.catch(() => weights.delete(name)); // the next training tries again
  return { ...options, pretrained: await file };
}

/** [224, 224, 3] -> "224 × 224 colour", without a place to break the line in the middle of the size. */
export function inputInWords([height, width, channels]: InputSize): string {
  return `${width}\u00a0×\u00a0${height} ${channels === 1 ? 'grey' : 'colour'}`;
}
