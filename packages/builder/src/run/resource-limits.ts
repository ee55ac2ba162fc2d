import { readFileSync } from 'node:fs';
import type { SandboxLimits } from '../sandbox/sandbox.ts';

/** A resource limit of a process; `undefined` is unlimited. */
export interface ResourceLimit {
  /** The name in getrlimit(2), without RLIMIT_. */
  readonly name: string;
  readonly soft: number | undefined;
  readonly hard: number | undefined;
}

/** Returns the limits of the init, as far as this process may set them. */
export function resourceLimits({ data, processes }: SandboxLimits): readonly ResourceLimit[] {
  const text = readFileSync('/proc/self/limits', 'utf8');
  const within = (name: string, title: string, soft: number, hard?: number): ResourceLimit => {
    const [, given = 'unlimited'] = new RegExp(`^${title}\\s+\\S+\\s+(\\S+)`, 'm').exec(text) ?? [];
    const most = given === 'unlimited' ? undefined : Number(given);
    const top = hard === undefined ? most : Math.min(hard, most ?? hard);
    return { name, soft: Math.min(soft, top ?? soft), hard: top };
  };
  return [
    within('STACK', 'Max stack size', 8 << 20),
    within('CORE', 'Max core file size', 0, 0),
    within('NOFILE', 'Max open files', 1024, 1 << 19),
    ...(data === undefined ? [] : [within('DATA', 'Max data size', data, data)]),
    ...(processes === undefined ? [] : [within('NPROC', 'Max processes', processes, processes)]),
  ];
}

/** Returns the limits as options of prlimit(1). */
export function limitFlags(limits: SandboxLimits): readonly string[] {
  return resourceLimits(limits).map(
    ({ name, soft, hard }) => `--${name.toLowerCase()}=${valueText(soft)}:${valueText(hard)}`,
  );
}

function valueText(value: number | undefined): string {
  return String(value ?? 'unlimited');
}
