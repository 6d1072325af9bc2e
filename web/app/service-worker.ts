// Keeps the whole page (its code, every build of the engine, the sample photos) for use without a network, and adds the headers that
// make a page cross-origin isolated, which threads need, where the host cannot send them. It never fetches from another origin.
// vite.config.ts fills in __FILES__, __POLICY__ and __VERSION__ when the page is built.
/// <reference lib="webworker" />
import type { SentMessage } from './privacy';
declare const self: ServiceWorkerGlobalScope;
declare const __FILES__: readonly string[];
declare const __POLICY__: string;
declare const __VERSION__: string;

const cacheName = `pinhole ${__VERSION__}`;

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(cacheName)
      // 'no-cache' asks the host whether the browser's copy is still good: an old one must not be kept under a new version's name.
      .then((cache) => cache.addAll(__FILES__.map((file) => new Request(file, { cache: 'no-cache' }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(
          names.filter((name) => name.startsWith('pinhole ') && name !== cacheName).map((name) => caches.delete(name)),
        ),
      )
      // Not waited for: Firefox asks every worker of a page whether it has heard, and the engine's threads, which sleep, never answer.
      // A worker that is not active holds back all requests, so the page would stand still.
      .then(() => void self.clients.claim()),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  // Counted for the page before it is let out; a request of the page itself is its loading.
  const fromNetwork = (): Promise<Response> => {
    if (request.mode !== 'navigate') event.waitUntil(tellOf(request.clone()));
    return fetch(request);
  };
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin)
    event.respondWith(fromNetwork());
  else event.respondWith(answer(request, fromNetwork).then(isolated));
});

async function answer(request: Request, fromNetwork: () => Promise<Response>): Promise<Response> {
  // The document comes from the network first, so that a new version is seen at once; everything it names has a hash in its name
  // or belongs to the version in the cache.
  if (request.mode === 'navigate') {
    return fromNetwork().catch(async () => (await kept('./')) ?? Response.error());
  }
  return (await kept(request)) ?? fromNetwork();
}

/** Every open page of this origin is told, whoever asked: nothing that leaves is nobody's. */
async function tellOf(request: Request): Promise<void> {
  const body = await request.arrayBuffer().catch(() => new ArrayBuffer(0));
  const message: SentMessage = { kind: 'sent', bytes: request.method.length + request.url.length + body.byteLength };
  for (const client of await self.clients.matchAll({ includeUncontrolled: true })) client.postMessage(message);
}

async function kept(request: RequestInfo): Promise<Response | undefined> {
  // A host's "Vary: Origin" would make a file that was kept without an Origin another one than the page asks for.
  return (await caches.open(cacheName)).match(request, { ignoreSearch: true, ignoreVary: true });
}

function isolated(response: Response): Response {
  // An error or an opaque answer cannot be made anew.
  if (response.status === 0 || response.type === 'opaque') return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  headers.set('Content-Security-Policy', __POLICY__);
  const hasBody = ![101, 204, 205, 304].includes(response.status);
  return new Response(hasBody ? response.body : null, {
    status: response.status,
    statusText: response.statusText,
    headers,
  });
}
