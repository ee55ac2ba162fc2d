import type { AffectedPackage, VersionRange } from './advisory.ts';
import { compareIn } from './ecosystems.ts';

/** Whether a version is affected, and the first version after it that is not, if one is known. */
export interface Affects {
  readonly affected: boolean;
  readonly fixed?: string;
}

/**
 * Reports whether an advisory affects a version of a package (OSV schema, "Evaluation"). A version
 * that cannot be compared counts as affected: only a listed fix clears a version.
 */
export function affects(item: AffectedPackage, version: string): Affects {
  const within = item.ranges.find((one) => isWithin(item, one, version));
  if (within !== undefined) return { affected: true, fixed: fixAfter(item, within) };
  const isListed = item.versions.some(
    (one) => one === version || compareIn(item.ecosystem, one, version) === 0,
  );
  return { affected: isListed };
}

/** Returns the first version after a range that is in no other one, if a fix makes it so. */
function fixAfter(item: AffectedPackage, { fixed }: VersionRange): string | undefined {
  let fix = fixed;
  for (const range of byEnd(item)) {
    if (fix === undefined) return undefined;
    if (isWithin(item, range, fix)) fix = range.fixed;
  }
  return fix;
}

/** Returns the ranges by their fixes, those without one last. */
function byEnd({ ecosystem, ranges }: AffectedPackage): readonly VersionRange[] {
  return ranges.toSorted((a, b) => {
    if (a.fixed === undefined || b.fixed === undefined)
      return Number(a.fixed === undefined) - Number(b.fixed === undefined);
    return compareIn(ecosystem, a.fixed, b.fixed) ?? 0;
  });
}

function isWithin({ ecosystem }: AffectedPackage, range: VersionRange, version: string): boolean {
  const { introduced, fixed, lastAffected, limits } = range;
  const order = (bound: string): number | undefined => compareIn(ecosystem, version, bound);
  if (introduced !== undefined && (order(introduced) ?? 0) < 0) return false;
  if (fixed !== undefined && (order(fixed) ?? -1) >= 0) return false;
  if (limits?.every((limit) => (order(limit) ?? -1) >= 0) === true) return false;
  return lastAffected === undefined || (order(lastAffected) ?? -1) <= 0;
}
