import type { Limits } from '@lkt/builder';
import { timeLimitOf } from './durations.ts';
import { countFlag, type FlagValues, grouped, valueFlag } from './options.ts';
import { sizeOf } from './sizes.ts';

/** The flags that limit RUN commands. */
export const limitFlags = grouped('LIMIT', {
  cpus: countFlag('N', 'processors of each RUN'),
  'max-memory': valueFlag('SIZE', 'memory of each RUN, such as 2G'),
  'max-output': valueFlag('SIZE', 'output of each RUN; default: 64M'),
  'max-processes': countFlag('N', 'processes of each RUN; default: 4096'),
  'max-time': valueFlag('DURATION', 'time of each RUN, such as 90s or 1h30m'),
});

type LimitFlags = FlagValues<typeof limitFlags>;

/**
 * Parses the limits of RUN commands.
 * @throws LktError USAGE_INVALID
 */
export function limitsOf(flags: LimitFlags): Limits {
  const limits = {
    cpus: flags.cpus,
    memory: size(flags, 'max-memory'),
    pids: flags['max-processes'],
    seconds: seconds(flags),
    output: size(flags, 'max-output'),
  };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

function size(flags: LimitFlags, name: 'max-memory' | 'max-output'): number | undefined {
  const text = flags[name];
  return text === undefined ? undefined : sizeOf(`--${name}`, text, 1);
}

function seconds(flags: LimitFlags): number | undefined {
  const text = flags['max-time'];
  return text === undefined ? undefined : timeLimitOf('--max-time', text) / 1000;
}
