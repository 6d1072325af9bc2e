// Registers the service worker, which keeps the whole page for use without a network and brings the headers that threads
// need where the host does not send them.
import { classes, isBusy, notKept, reading } from './state';
import { projectIsOpen } from './store/project';

/** Milliseconds of rest after which the page is kept, and after which it is kept in any case: what is being done comes first. */
const rest = 1000;
const longestWait = 30_000;

async function quiet(): Promise<void> {
  const isResting = (): boolean => !isBusy.value && reading.value === null;
  const begun = performance.now();
  for (let since = begun; performance.now() - since < rest && performance.now() - begun < longestWait;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (!isResting()) since = performance.now();
  }
}

const reloadedFor = 'pinhole: reloaded for cross-origin isolation';

/** Resolves when the service worker answers this page's requests: true; or when it is clear that none will: false. */
export async function installOffline(): Promise<boolean> {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return false;
  // Where only the service worker brings threads, everything waits for it.
  if (globalThis.crossOriginIsolated) await quiet();
  try {
    await navigator.serviceWorker.register(new URL('./service-worker.js', document.baseURI));
    await navigator.serviceWorker.ready;
  } catch {
    // The page works without: only its own reload needs the network then.
    return false;
  }
  await projectIsOpen;
  // Headers count from the next load on. Once, so that a browser that does not isolate does not reload for ever.
  const isSafe = !isBusy.value && reading.value === null && (classes.value.length === 0 || notKept.value === null);
  if (isSafe && !globalThis.crossOriginIsolated && !sessionStorage.getItem(reloadedFor)) {
    sessionStorage.setItem(reloadedFor, 'yes');
    location.reload();
  }
  if (navigator.serviceWorker.controller) return true;
  // Loaded past it, by a forced reload: it takes this page over only at the next load, unless it has just been installed.
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', () => resolve(true), { once: true });
    setTimeout(() => resolve(navigator.serviceWorker.controller !== null), 3000);
  });
}
