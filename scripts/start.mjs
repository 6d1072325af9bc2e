// npm start: sets up what is missing, builds everything, serves the page and prints its address. PORT chooses the port.
import { build } from './build.mjs';
import { heading, main, setUp } from './lib.mjs';
import { serve } from './serve.mjs';

main(async () => {
  await setUp('native', 'wasm', 'web');
  await build();
  const { url } = await serve({ port: Number(process.env.PORT) || undefined });
  heading(`Pinhole is at ${url}   (Ctrl-C stops it)`);
});
