import { LktError } from '@lkt/core';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** Parses a size in bytes, such as `64M`, `2g` or `512MiB`; returns undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})([KMGT]?)(?:I?B)?$/.exec(text.toUpperCase());
  return match === null ? undefined : Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1);
}

/**
 * Parses the size given to a flag, in bytes.
 * @param option the flag, for the error
 * @throws LktError USAGE_INVALID
 */
export function sizeOf(option: string, text: string, minimum: number = 0): number {
  const size = parseSize(text);
  if (size !== undefined && size >= minimum) return size;
  throw notSize(option, text);
}

function notSize(option: string, text: string): LktError {
  return new LktError('USAGE_INVALID', `${option}: ${text} is not a size`, {
    fix: 'write a number and K, M or G, such as 512M',
  });
}

/**
 * Parses the size given to a flag as LinuxKit does: a number without unit is in MiB.
 * @returns whole MiB, at least 1
 * @throws LktError USAGE_INVALID
 */
export function mebibytesOf(option: string, text: string): number {
  const size = parseSize(/^\d+$/.test(text) ? `${text}M` : text) ?? 0;
  if (size >= 2 ** 20) return Math.floor(size / 2 ** 20);
  throw notSize(option, text);
}

/** Formats bytes with a decimal unit: `1.5 MB`. */
export function showSize(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e3).toFixed(1)} kB`;
}
