// Serves the built page on localhost. The headers that threads need (cross-origin isolation) are set in the page's Vite
// configuration. The browser tests use this too.
import { viteConfig } from './build.mjs';

/**
 * Starts a server; a port that is taken is passed over for the next free one. Gives its address and a way to stop it.
 * `onRequest` is told each request's path.
 */
export async function serve({ port = 4173, onRequest } = {}) {
  const { preview } = await import('vite');
  const server = await preview({
    configFile: viteConfig(),
    logLevel: 'warn',
    preview: { host: 'localhost', port, strictPort: false },
  });
  if (onRequest) server.httpServer.on('request', ({ url }) => onRequest(url));
  return { url: server.resolvedUrls.local[0], close: () => server.close() };
}
