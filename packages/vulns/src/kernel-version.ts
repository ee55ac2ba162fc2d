import { compareDigits } from './digits.ts';

/**
 * Compares two upstream versions of Linux, such as `6.12`, `6.12.5`, `6.13-rc7` and `2.6.32.61`.
 * Negative if `a` is older. `6.12` and `6.12.0` are one version.
 * @returns undefined if one of them is not a version
 */
export function compareKernelVersions(a: string, b: string): number | undefined {
  const left = parse(a);
  const right = parse(b);
  if (left === undefined || right === undefined) return undefined;
  for (const [index, number] of left.numbers.entries()) {
    const order = compareDigits(number, right.numbers[index] ?? '0');
    if (order !== 0) return order;
  }
  if (left.candidate === undefined || right.candidate === undefined)
    return Number(left.candidate === undefined) - Number(right.candidate === undefined);
  return compareDigits(left.candidate, right.candidate);
}

interface KernelVersion {
  /** Four numbers. */
  readonly numbers: readonly string[];
  /** Of a release candidate. */
  readonly candidate: string | undefined;
}

function parse(text: string): KernelVersion | undefined {
  const [, release, candidate] = /^v?(\d+(?:\.\d+){0,3})(?:-rc(\d+))?$/.exec(text) ?? [];
  if (release === undefined) return undefined;
  return { numbers: [...release.split('.'), '0', '0', '0'].slice(0, 4), candidate };
}

/**
 * Returns the upstream version of a kernel by its release (uname(2)): `6.6.71` for
 * `6.6.71-linuxkit`. Undefined for a release such as `6.1.0-18-amd64`, by which distributions
 * number their builds of different upstream versions.
 */
export function upstreamKernelVersion(release: string): string | undefined {
  const [, version, numbers = '', local = ''] =
    /^v?((\d+(?:\.\d+){1,3})(?:-rc\d+)?)((?:[-+].*)?)$/s.exec(release) ?? [];
  const isFirst = !/^\d+\.\d+\.0*[1-9]/.test(numbers);
  return isFirst && /^-\d/.test(local) ? undefined : version;
}
