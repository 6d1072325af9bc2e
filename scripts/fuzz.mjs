// npm run fuzz -- [TARGET ...] [--minutes N | --seconds N]: builds the libFuzzer targets with clang and sanitizers, and runs each for
// so long (default: a minute), two at a time. Inputs that reach new code are kept in build/fuzz/corpus, so that the next run goes on
// from them; an input that is a finding is written to build/fuzz/findings, and `build/fuzz/tests/fuzz/fuzz_TARGET FILE` runs it again.
// The parsers that are JavaScript, zip, tflite and layers_model, get files damaged at random for so long; what fails names its seed.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeSeeds } from '../tests/fuzz/seeds.mjs';
import { buildPreset } from './build.mjs';
import { Failure, heading, main, mustRun, root, run, setUp } from './lib.mjs';

const targets = ['image', 'safetensors', 'training_state', 'spec', 'recipe', 'idx'];
/** The parsers that are JavaScript, and their tests in tests/wasm/mutations.test.mjs. */
const scripted = {
  zip: 'damaged zip files',
  tflite: 'damaged TFLite files',
  layers_model: 'damaged Teachable Machine models',
};
const jsonInside = ['safetensors', 'training_state', 'spec', 'recipe'];
const atOnce = 2;
const folder = path.join(root, 'build/fuzz');
const program = (name) => path.join(folder, 'tests/fuzz', `fuzz_${name}`);

/** Runs one target and says what came of it: true when it found nothing. */
async function fuzz(name, seconds) {
  const seeds = path.join(folder, 'seeds');
  const corpus = path.join(folder, 'corpus', name);
  mkdirSync(corpus, { recursive: true });
  const lines = [];
  const status = await run(
    program(name),
    [
      ...[`-max_total_time=${seconds}`, '-timeout=25', '-rss_limit_mb=2048', '-print_final_stats=1', '-max_len=65536'],
      ...[`-artifact_prefix=${path.join(folder, 'findings', `${name}-`)}`],
      ...(jsonInside.includes(name) ? [`-dict=${path.join(seeds, 'json.dict')}`] : []),
      ...[corpus, path.join(seeds, name)],
    ],
    { onLine: (line) => lines.push(line) },
  );
  const last = (pattern) =>
    lines
      .map((line) => pattern.exec(line)?.[1])
      .filter(Boolean)
      .at(-1) ?? '?';
  const executions = last(/^stat::number_of_executed_units:\s+(\d+)/);
  const what = `${name.padEnd(16)}${executions.padStart(10)} executions ${last(/ cov: (\d+)/).padStart(7)} edges`;
  console.log(`    ${what}   ${status === 0 ? 'no finding' : 'FINDING'}`);
  // Where it stopped is at the end of a long log.
  if (status !== 0) console.log(lines.slice(-60).join('\n'));
  return status === 0;
}

/** The same for a parser that is JavaScript. */
async function mutate(name, seconds) {
  const lines = [];
  const status = await run(
    process.execPath,
    ['--test', `--test-name-pattern=${scripted[name]}`, path.join(root, 'tests/wasm/mutations.test.mjs')],
    { env: { PINHOLE_MUTATE_SECONDS: String(seconds) }, onLine: (line) => lines.push(line) },
  );
  const executions = lines.map((line) => /(\d+) files were damaged/.exec(line)?.[1]).find(Boolean) ?? '?';
  console.log(
    `    ${name.padEnd(16)}${executions.padStart(10)} executions                 ${status === 0 ? 'no finding' : 'FINDING'}`,
  );
  if (status !== 0) console.log(lines.slice(-60).join('\n'));
  return status === 0;
}

main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: 'string' }, seconds: { type: 'string' } },
  });
  const all = [...targets, ...Object.keys(scripted)];
  const unknown = positionals.find((name) => !all.includes(name));
  if (unknown) throw new Failure(`unknown target '${unknown}'; there are: ${all.join(' ')}`);
  for (const [option, value] of Object.entries(values)) {
    if (!/^[1-9]\d*$/.test(value)) throw new Failure(`--${option} expected a whole number from 1, got ${value}`);
  }
  const seconds = values.seconds ? Number(values.seconds) : 60 * Number(values.minutes ?? 1);
  await setUp('native', 'web', 'fuzz');
  await buildPreset('fuzz', { what: 'the fuzz targets', targets: targets.map((name) => `fuzz_${name}`) });

  const seeds = path.join(folder, 'seeds');
  writeSeeds(seeds);
  mkdirSync(path.join(seeds, 'training_state'), { recursive: true });
  await mustRun(program('training_state'), [], {
    env: { PINHOLE_WRITE_SEED: path.join(seeds, 'training_state/started') },
  });
  mkdirSync(path.join(folder, 'findings'), { recursive: true });
  const waiting = positionals.length ? [...new Set(positionals)] : all;
  heading(`Fuzzing ${waiting.length} targets, each for ${seconds} s`);
  const failed = [];
  const worker = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift())
      if (!(await (name in scripted ? mutate : fuzz)(name, seconds))) failed.push(name);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failed.length) console.log(`    FINDINGS: ${failed.join(', ')}; what libFuzzer found is in build/fuzz/findings`);
  return failed.length ? 1 : 0;
});
