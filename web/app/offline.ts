// Registers the service worker, which keeps the whole page for use without a network and brings the headers that threads
// need where the host does not send them.
import { classes, currentModel, reading } from './state';

const reloadedFor = 'pinhole: reloaded for cross-origin isolation';

export async function installOffline(): Promise<void> {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  try {
    await navigator.serviceWorker.register(new URL('./service-worker.js', document.baseURI));
    await navigator.serviceWorker.ready;
  } catch {
    // The page works without: only its own reload needs the network then.
    return;
  }
  // Headers count from the next load on. Once, so that a browser that does not isolate does not reload for ever.
  const isUntouched = classes.value.length === 0 && reading.value === null && currentModel.value === null;
  if (isUntouched && !globalThis.crossOriginIsolated && !sessionStorage.getItem(reloadedFor)) {
    sessionStorage.setItem(reloadedFor, 'yes');
    location.reload();
  }
}
