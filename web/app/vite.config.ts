// Builds the page into web/dist: plain files with relative addresses, for any folder of any static host.
// Nothing may come from elsewhere: the Content-Security-Policy says so to the browser.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What threads need. The service worker sends the same, for hosts that do not. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** As a <meta> it holds for the document; workers take theirs from the header that came with their script. */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "connect-src 'self'",
  "img-src 'self' blob: data:",
  "style-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** Only in the built page: the development server injects styles and opens a socket. */
function contentSecurityPolicy(): Plugin {
  return {
    name: 'pinhole-content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: policy }, injectTo: 'head-prepend' },
    ],
  };
}

/** Tells the service worker which files there are, and a version that changes when any of them does. */
function offlineFiles(): Plugin {
  let outDir = '';
  return {
    name: 'pinhole-offline-files',
    apply: 'build',
    configResolved: (config) => {
      outDir = resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      order: 'post',
      handler: () => {
        const worker = `${outDir}/service-worker.js`;
        const files = readdirSync(outDir, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => `${entry.parentPath}/${entry.name}`.slice(outDir.length + 1))
          .filter((name) => name !== 'service-worker.js' && name !== 'index.html')
          .sort();
        const hash = createHash('sha256');
        for (const name of ['index.html', 'service-worker.js', ...files])
          hash.update(name).update(readFileSync(`${outDir}/${name}`));
        const addresses = ['./', ...files.map((name) => `./${name.split('/').map(encodeURIComponent).join('/')}`)];
        const code = readFileSync(worker, 'utf8')
          .replace('__FILES__', () => JSON.stringify(addresses))
          .replace('__POLICY__', () => JSON.stringify(policy))
          .replace('__VERSION__', () => JSON.stringify(hash.digest('hex').slice(0, 16)));
        writeFileSync(worker, code);
      },
    },
  };
}

export default defineConfig({
  root: folder('.'),
  base: './',
  // What is not there is answered with 404, not with the page.
  appType: 'mpa',
  publicDir: folder('../public'),
  plugins: [contentSecurityPolicy(), offlineFiles()],
  worker: { format: 'es' },
  server: { headers: isolation },
  preview: { headers: { ...isolation, 'Content-Security-Policy': policy } },
  build: {
    outDir: folder('../dist'),
    emptyOutDir: true,
    target: 'es2022',
    // Inlined files would be data: addresses, which the policy refuses to scripts and workers.
    assetsInlineLimit: 0,
    // What is fetched later is one small file at a time; the helper that preloads them would be code for nothing.
    modulePreload: false,
    rollupOptions: {
      input: { index: folder('index.html'), 'service-worker': folder('service-worker.ts') },
      output: { entryFileNames: ({ name }) => (name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js') },
    },
  },
});
