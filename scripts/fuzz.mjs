// npm run fuzz -- [TARGET ...] [--seconds N]: builds the libFuzzer targets with clang and sanitizers, and runs each for N seconds
// (default 60), two at a time. Inputs that reach new code are kept in build/fuzz/corpus, so that the next run goes on from them; an
// input that is a finding is written to build/fuzz/findings, and `build/fuzz/tests/fuzz/fuzz_TARGET FILE` runs it again.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeSeeds } from '../tests/fuzz/seeds.mjs';
import { buildPreset } from './build.mjs';
import { Failure, heading, main, mustRun, root, run, setUp } from './lib.mjs';

const targets = ['image', 'safetensors', 'training_state', 'spec', 'recipe', 'idx'];
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

main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '60' } },
  });
  const unknown = positionals.find((name) => !targets.includes(name));
  if (unknown) throw new Failure(`unknown target '${unknown}'; there are: ${targets.join(' ')}`);
  if (!/^[1-9]\d*$/.test(values.seconds))
    throw new Failure(`--seconds expected a whole number from 1, got ${values.seconds}`);
  await setUp('native', 'fuzz');
  await buildPreset('fuzz', { what: 'the fuzz targets', targets: targets.map((name) => `fuzz_${name}`) });

  const seeds = path.join(folder, 'seeds');
  writeSeeds(seeds);
  mkdirSync(path.join(seeds, 'training_state'), { recursive: true });
  await mustRun(program('training_state'), [], {
    env: { PINHOLE_WRITE_SEED: path.join(seeds, 'training_state/started') },
  });
  mkdirSync(path.join(folder, 'findings'), { recursive: true });
  const waiting = positionals.length ? [...new Set(positionals)] : [...targets];
  heading(`Fuzzing ${waiting.length} targets, each for ${values.seconds} s`);
  const failed = [];
  const worker = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift())
      if (!(await fuzz(name, values.seconds))) failed.push(name);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failed.length) console.log(`    FINDINGS: ${failed.join(', ')}; the inputs are in build/fuzz/findings`);
  return failed.length ? 1 : 0;
});
