// Counts what leaves the device once everything is loaded. The service worker sees every request of the page and its workers and
// tells of each that it lets out to the network; without one, the browser's own list of the page's requests is read.
import { engine } from './engine';
import { sent } from './state';

export interface SentMessage {
  readonly kind: 'sent';
  /** Of the address and the body; headers, which the browser adds, are not counted. */
  readonly bytes: number;
}

function count(bytes: number): void {
  sent.value = { ...sent.value, requests: sent.value.requests + 1, bytes: sent.value.bytes + bytes };
}

export async function countSentBytes(serviceWorker: Promise<boolean>): Promise<void> {
  // The policy of the document and that of the header, which are the same, each report what they stop.
  const justRefused = new Set<string>();
  document.addEventListener('securitypolicyviolation', ({ blockedURI }) => {
    if (justRefused.has(blockedURI)) return;
    justRefused.add(blockedURI);
    setTimeout(() => justRefused.delete(blockedURI));
    sent.value = { ...sent.value, refused: sent.value.refused + 1 };
  });
  await engine().catch(() => undefined);
  if (await serviceWorker) {
    navigator.serviceWorker.addEventListener('message', ({ data }: MessageEvent<SentMessage>) => {
      if (data.kind === 'sent') count(data.bytes);
    });
    sent.value = { ...sent.value, measuredBy: 'service worker' };
    return;
  }
  new PerformanceObserver((list) => {
    for (const { name } of list.getEntries()) if (/^https?:/.test(name)) count(name.length);
  }).observe({ type: 'resource' });
  sent.value = { ...sent.value, measuredBy: 'page' };
}
