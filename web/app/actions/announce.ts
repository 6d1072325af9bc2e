// Says one sentence to screen readers, through the page's live region.
import { announcement } from '../state';

export function announce(sentence: string): void {
  // The same sentence twice would not be a change and so stay unsaid; a trailing space makes it one.
  announcement.value = announcement.value === sentence ? `${sentence} ` : sentence;
}
