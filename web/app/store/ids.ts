// Numbers for photos and classes. None is given twice in a project, not even after a reload: the store finds pictures by them.
let next = 1;

export function newId(): number {
  return next++;
}

export function nextId(): number {
  return next;
}

/** From now on ids are at least this. */
export function idsFrom(id: number): void {
  next = Math.max(next, id);
}
