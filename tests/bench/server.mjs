// Serves the bench's pages and everything they load, cross-origin isolated, so that every engine may have threads.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.jpg': 'image/jpeg',
};

/** `folders`: what the first part of an address stands for, {name: folder}. Gives {url, close}. */
export function serveFolders(folders) {
  const server = createServer((request, response) => {
    const [name, ...rest] = decodeURIComponent(new URL(request.url, 'http://localhost').pathname).slice(1).split('/');
    const folder = folders[name];
    const file = folder && path.join(folder, ...rest);
    const found = file?.startsWith(folder) && statSync(file, { throwIfNoEntry: false })?.isFile();
    response.writeHead(found ? 200 : 404, {
      'Content-Type': (found && types[path.extname(file)]) || 'application/octet-stream',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Cross-Origin-Resource-Policy': 'same-origin',
    });
    if (found) createReadStream(file).pipe(response);
    else response.end();
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      resolve({ url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() });
    });
  });
}
