// What the scripts share: running programs, the set-up, and asking whether something is out of date.
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** A failure that has been explained already: no stack trace. */
export class Failure extends Error {}

export function heading(text) {
  console.log(process.stdout.isTTY ? `\x1b[1m==>\x1b[0m ${text}` : `==> ${text}`);
}

/** Runs a program with this one's standard streams and returns its exit status. */
export function run(program, args, { cwd = root, env = {}, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = onLine ? ['inherit', 'pipe', 'pipe'] : 'inherit';
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio });
    for (const stream of onLine ? [child.stdout, child.stderr] : []) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop();
        lines.forEach(onLine);
      });
      stream.on('end', () => rest && onLine(rest));
    }
    child.on('error', (error) => reject(new Failure(`cannot run ${program}: ${error.message}`)));
    child.on('close', (status, signal) => resolve(signal ? 128 : status));
  });
}

/** As run(), but a status other than 0 is a Failure. */
export async function mustRun(program, args, options) {
  const status = await run(program, args, options);
  if (status !== 0) throw new Failure(`${path.basename(program)} failed (status ${status})`);
}

/** Installs what the components need and the machine lacks; see scripts/setup.sh. */
export const setUp = (...components) => mustRun(path.join(root, 'scripts/setup.sh'), components);

/** All files below the given files and folders (relative to the root); what does not exist counts as empty. */
export function filesBelow(...names) {
  const files = [];
  const visit = (name) => {
    const stat = statSync(name, { throwIfNoEntry: false });
    if (stat?.isDirectory()) readdirSync(name).forEach((entry) => visit(path.join(name, entry)));
    else if (stat) files.push(name);
  };
  names.forEach((name) => visit(path.resolve(root, name)));
  return files;
}

/** Whether `stamp` is missing or older than one of the inputs, deleted files aside. */
export function outOfDate(stamp, ...inputs) {
  const made = statSync(path.resolve(root, stamp), { throwIfNoEntry: false });
  return !made || filesBelow(...inputs).some((file) => statSync(file).mtimeMs > made.mtimeMs);
}

/** Runs the main function of a script: a Failure is one line on stderr and exit status 1. */
export function main(body) {
  body().then(
    (status) => {
      process.exitCode = status ?? 0;
    },
    (error) => {
      console.error(error instanceof Failure ? error.message : error);
      process.exitCode = 1;
    },
  );
}
