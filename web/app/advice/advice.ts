// What is worth saying about the classes and images before training with them. Pure, so that it can be tested.
import { plural } from '../components/words';
import type { PhotoClass } from '../state';
import type { Duplicates } from './duplicates';

export interface Advice {
  readonly kind: 'few' | 'unbalanced' | 'copies' | 'alike' | 'contradicting' | 'alike-across' | 'leaking';
  readonly sentence: string;
  /** Groups of photos to look at. */
  readonly groups: readonly (readonly number[])[];
  /** Photos without which it would be settled; empty when that needs a human eye. */
  readonly superfluous: readonly number[];
  /** The class it is about. */
  readonly classId: number | null;
}

/** Below this many images a class is hard to learn. */
const few = 10;
/** A class with so many times the images of another is favoured. */
const unbalancedFrom = 3;

/** `heldOut`: ids of the photos that the latest training was tested with. */
export function adviceOn(
  classes: readonly PhotoClass[],
  { exact, alike }: Duplicates,
  heldOut: ReadonlySet<number> = new Set(),
): Advice[] {
  const none = { groups: [], superfluous: [], classId: null };
  const classOf = new Map(classes.flatMap(({ id, photos }) => photos.map((photo) => [photo.id, id] as const)));
  const advice: Advice[] = [];
  const filled = classes.filter(({ photos }) => photos.length > 0);
  const scarce = filled.filter(({ photos }) => photos.length < few);
  if (scarce.length > 0) {
    const names = scarce.map(({ name, photos }) => `${name} (${photos.length})`);
    advice.push({
      ...none,
      kind: 'few',
      sentence: `${listed(names)} ${scarce.length === 1 ? 'has' : 'have'} few images. About 20 or more of each class are a start; more are better.`,
      classId: scarce.reduce((a, b) => (b.photos.length < a.photos.length ? b : a)).id,
    });
  }
  const bySize = [...filled].sort((a, b) => a.photos.length - b.photos.length);
  const [least, most] = [bySize[0], bySize.at(-1)];
  if (least && most && most.photos.length >= least.photos.length * unbalancedFrom) {
    const times = most.photos.length / least.photos.length;
    advice.push({
      ...none,
      kind: 'unbalanced',
      sentence: `${most.name} has ${times.toFixed(times < 10 ? 1 : 0)} times the images of ${least.name}. The model may favour it.`,
      classId: least.id,
    });
  }
  const present = (groups: Duplicates['exact']): number[][] =>
    groups.map((group) => group.filter((id) => classOf.has(id))).filter((group) => group.length > 1);
  const isAcross = (group: readonly number[]): boolean => new Set(group.map((id) => classOf.get(id))).size > 1;
  const exactOf = new Map(classes.flatMap(({ photos }) => photos.map((photo) => [photo.id, photo.exact] as const)));

  const copies = present(exact).filter((group) => !isAcross(group));
  const spare = copies.flatMap((group) => group.slice(1));
  if (spare.length > 0) {
    advice.push({
      ...none,
      kind: 'copies',
      sentence: `${plural(spare.length, 'image is there', 'images are there')} more than once in ${spare.length === 1 ? 'its' : 'their'} class.`,
      groups: copies,
      superfluous: spare,
    });
  }
  const contradicting = present(exact).filter(isAcross);
  if (contradicting.length > 0) {
    advice.push({
      ...none,
      kind: 'contradicting',
      sentence: `${plural(contradicting.length, 'image is', 'images are')} in more than one class: the model is told two things of the same picture.`,
      groups: contradicting,
    });
  }
  // Files that are the same have been spoken of.
  const looks = present(alike)
    .map((group) => group.filter((id, i) => group.findIndex((other) => exactOf.get(other) === exactOf.get(id)) === i))
    .filter((group) => group.length > 1);
  const within = looks.filter((group) => !isAcross(group));
  const extra = within.flatMap((group) => group.slice(1));
  if (extra.length > 0) {
    advice.push({
      ...none,
      kind: 'alike',
      sentence: `${plural(extra.length, 'image looks', 'images look')} almost like another of the same class and ${extra.length === 1 ? 'teaches' : 'teach'} little new. Training keeps such images on one side of the validation split where it can.`,
      groups: within,
      superfluous: extra,
    });
  }
  const across = looks.filter(isAcross);
  if (across.length > 0) {
    advice.push({
      ...none,
      kind: 'alike-across',
      sentence: `${plural(across.length, 'picture has', 'pictures have')} almost its like in another class.`,
      groups: across,
    });
  }
  const leaking = present(alike).filter(
    (group) => group.some((id) => heldOut.has(id)) && !group.every((id) => heldOut.has(id)),
  );
  if (leaking.length > 0) {
    const count = leaking.flat().filter((id) => heldOut.has(id)).length;
    advice.push({
      ...none,
      kind: 'leaking',
      sentence: `${plural(count, 'image', 'images')} that the model was tested with ${count === 1 ? 'looks' : 'look'} almost like one that it learned from: its accuracy may be flattered.`,
      groups: leaking,
    });
  }
  return advice;
}

function listed(names: readonly string[]): string {
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names;
  return shown.length < 2 ? (shown[0] ?? '') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
