import type { Limits } from '@lkt/builder';
import { LktError } from '@lkt/core';

interface LimitFlags {
  readonly cpus?: number | undefined;
  readonly 'max-memory'?: string | undefined;
  readonly 'max-output'?: string | undefined;
  readonly 'max-processes'?: number | undefined;
  readonly 'max-time'?: string | undefined;
}

/**
 * Parses the limits of RUN commands.
 * @throws LktError USAGE_INVALID
 */
export function limitsOf(flags: LimitFlags): Limits {
  const limits: Record<string, number | undefined> = {
    cpus: flags.cpus,
    memory: size(flags, 'max-memory'),
    pids: flags['max-processes'],
    seconds: seconds(flags),
    output: size(flags, 'max-output'),
  };
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/**
 * Returns a size in bytes: `64M`, `2g`, `512MiB`.
 * @throws LktError USAGE_INVALID
 */
function size(flags: LimitFlags, name: 'max-memory' | 'max-output'): number | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  const match = /^([1-9]\d{0,9})([KMG]?)(?:I?B)?$/.exec(text.toUpperCase());
  if (match === null)
    throw new LktError('USAGE_INVALID', `--${name}: ${text} is not a size`, {
      fix: 'write a number and K, M or G, such as 512M',
    });
  return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1);
}

function seconds(flags: LimitFlags): number | undefined {
  const text = flags['max-time'];
  if (text === undefined) return undefined;
  const match = /^(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/.exec(text);
  const [, hours = 0, minutes = 0, rest = 0] = match ?? [];
  const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
  // The limit of Node's timers, in seconds.
  if (total > 0 && total < 2_000_000) return total;
  throw new LktError('USAGE_INVALID', `--max-time: ${text} is not a duration of at most 23 days`, {
    fix: 'write hours, minutes and seconds, such as 1h30m or 90s',
  });
}
