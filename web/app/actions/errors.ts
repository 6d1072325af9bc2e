// Sets and clears the messages that stand beside the page's controls.
import { errors, type Place } from '../state';

export function showError(place: Place, ...messages: readonly string[]): void {
  errors.value = { ...errors.value, [place]: messages };
}

export function clearErrors(place: Place): void {
  if (errors.value[place]) errors.value = { ...errors.value, [place]: undefined };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
