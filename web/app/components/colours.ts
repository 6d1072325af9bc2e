// Which colour a class has: by its place in the list, everywhere the same.
import type { CSSProperties } from 'preact';

const colourCount = 8;

export function classColour(index: number): CSSProperties {
  return { '--class-colour': `var(--class-${index % colourCount})` };
}
