import { readFileSync } from 'node:fs';
import type { Limits } from '../limits.ts';

let next = 0;

/**
 * Words of a command that gives what follows no more than some processors, which it then counts too. Commands beside
 * each other get others, as far as there are.
 */
export function processors({ cpus }: Limits): readonly string[] {
  if (cpus === undefined) return [];
  const all = allowed(readFileSync('/proc/self/status', 'utf8'));
  const count = Math.min(Math.max(1, Math.ceil(cpus)), all.length);
  const list = Array.from({ length: count }, (_, index) => all[(next + index) % all.length]);
  next = (next + count) % all.length;
  return ['taskset', '--cpu-list', list.join(',')];
}

/** The numbers in `Cpus_allowed_list` of proc_pid_status(5). */
function allowed(status: string): readonly number[] {
  const [, list = '0'] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
