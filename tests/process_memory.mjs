// How much memory a process has for itself, where /proc tells it (Linux).
import { readFileSync, readdirSync } from 'node:fs';

function read(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return ''; // it has just ended
  }
}

/** Its heap, its threads', WebAssembly and pictures; program code that it shares with others is not counted. */
export function privateBytes(pid) {
  const rollup = read(pid, 'smaps_rollup');
  const kilobytes = (name) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0);
  return (kilobytes('Private_Dirty') + kilobytes('Private_Clean')) * 1024;
}

/** The processes that draw pages, of the browser that was started with `argument`, its profile for example. */
export function renderers(argument) {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(pids.map((pid) => [pid, /^PPid:\s+(\d+)/m.exec(read(pid, 'status'))?.[1]]));
  const isOurs = (pid) => {
    for (let at = pid; at; at = parents.get(at)) if (read(at, 'cmdline').includes(argument)) return true;
    return false;
  };
  return pids.filter((pid) => read(pid, 'cmdline').includes('--type=renderer') && isOurs(pid));
}
