// An engine in a Node of its own: node node.mjs ENGINE CONFIG, then requests, one JSON a line on standard input, replies likewise.
import { createInterface } from 'node:readline';

const [engineUrl, config] = process.argv.slice(2);
const { start } = await import(engineUrl);
const engine = await start(JSON.parse(config)).catch((error) => ({ failed: error }));
for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...request } = JSON.parse(line);
  let reply;
  try {
    if (engine.failed) throw engine.failed;
    reply = await engine[op](request);
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  console.log(JSON.stringify(reply));
}
process.exit(0);
