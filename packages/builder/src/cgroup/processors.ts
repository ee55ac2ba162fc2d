import { readFileSync } from 'node:fs';
import type { Limits } from '../limits.ts';

let next = 0;

/**
 * Returns the arguments that pin the command after them to a set of processors. Commands that run
 * in parallel get different ones, as far as possible.
 */
export function processors({ cpus }: Limits): readonly string[] {
  if (cpus === undefined) return [];
  const all = allowedProcessors();
  const count = Math.min(Math.max(1, Math.ceil(cpus)), all.length);
  const list = Array.from({ length: count }, (_, index) => all[(next + index) % all.length]);
  next = (next + count) % all.length;
  return ['taskset', '--cpu-list', list.join(',')];
}

/** Returns the processors that this process may use: `Cpus_allowed_list` of proc_pid_status(5). */
export function allowedProcessors(): readonly number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [, list = '0'] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
