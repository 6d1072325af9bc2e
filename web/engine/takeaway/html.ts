// Puts a model and everything it needs to classify into one HTML file, which works from a disk, without a network and without a server.

export interface HtmlParts {
  readonly name: string;
  readonly about: string;
  readonly classes: readonly string[];
  readonly threshold: number;
  /** The .safetensors file. */
  readonly model: Uint8Array;
  /** The plain SIMD build: its module's text and its WebAssembly. */
  readonly glue: string;
  readonly wasm: Uint8Array;
  /** runtime.ts, built. */
  readonly runtime: string;
}

const styles = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; background: Canvas; color: CanvasText; }
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 0; font-size: 1.5rem; }
p { margin: 0.25rem 0; }
.ways { display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: center; margin: 1.25rem 0; padding: 1.5rem; border: 2px dashed GrayText; border-radius: 0.9rem; }
button, input { font: inherit; }
article, #camera-part { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr)); gap: 1.25rem; margin: 1.5rem 0; align-items: start; }
img, video { width: 100%; max-height: 20rem; object-fit: contain; border-radius: 0.5rem; }
ul { margin: 0.75rem 0 0; padding: 0; list-style: none; display: grid; gap: 0.5rem; }
li { display: grid; grid-template-columns: 1fr auto; }
meter { grid-column: 1 / -1; width: 100%; height: 1rem; }
:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
`;

export async function htmlFile(parts: HtmlParts): Promise<string> {
  const { name, about, classes, threshold } = parts;
  // In one document a module cannot import its neighbour: it leaves its export where the next script finds it.
  const glue = parts.glue.replace(/export\s*\{\s*([\w$]+) as default\s*\};?\s*$/, 'globalThis.createPinhole = $1;');
  if (glue === parts.glue) throw new Error("the engine's module does not end in its export");
  const scripts = [glue, parts.runtime].map(scriptText);
  const hashes = await Promise.all(scripts.map(hashOf));
  const policy = [
    "default-src 'none'",
    `script-src ${hashes.join(' ')} 'wasm-unsafe-eval'`,
    `style-src ${await hashOf(styles)}`,
    'img-src blob:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(name)}</title>
<style>${styles}</style>
</head>
<body>
<main>
<h1>${escaped(name)}</h1>
<p>${escaped(about)} Everything happens in this file: no picture leaves this device.</p>
<div class="ways">
<label>Choose a picture <input id="file" type="file" accept="image/*" multiple disabled></label>
<button id="camera" type="button" disabled>Use the camera</button>
<span>or drop or paste one anywhere.</span>
</div>
<p id="status" role="status">Starting…</p>
<div id="camera-part"><video id="video" muted playsinline hidden aria-label="What the camera sees"></video><div id="live"></div></div>
<div id="results"></div>
</main>
<script type="application/json" id="facts">${jsonText({ classes, threshold })}</script>
<script type="application/base64" id="wasm">${base64(parts.wasm)}</script>
<script type="application/base64" id="model">${base64(parts.model)}</script>
${scripts.map((script) => `<script type="module">${script}</script>`).join('\n')}
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

/** "</script" would end the element; in JavaScript's strings "<\/script" is the same. A BOM or \r would change the hash. */
function scriptText(code: string): string {
  return code
    .replace(/<(?=\/script|!--)/gi, '\\x3c')
    .replaceAll('\r\n', '\n')
    .replace(/^\uFEFF/, '');
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return `'sha256-${base64(new Uint8Array(digest))}'`;
}

function base64(bytes: Uint8Array): string {
  // Whole groups of three bytes, so that the pieces can be joined; few enough for one call.
  const piece = 3 * 8192;
  let text = '';
  for (let start = 0; start < bytes.length; start += piece)
    text += btoa(String.fromCharCode(...bytes.subarray(start, start + piece)));
  return text;
}
