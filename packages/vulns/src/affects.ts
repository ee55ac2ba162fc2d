import type { AffectedPackage, VersionRange } from './advisory.ts';
import { compareIn } from './version-order.ts';

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
  const range = item.ranges.find((one) => isWithin(item, one, version));
  if (range !== undefined) return { affected: true, fixed: range.fixed };
  const isListed = item.versions.some(
    (one) => one === version || compareIn(item.ecosystem, one, version) === 0,
  );
  return { affected: isListed };
}

function isWithin({ ecosystem }: AffectedPackage, range: VersionRange, version: string): boolean {
  const { introduced, fixed, lastAffected } = range;
  const order = (bound: string): number | undefined => compareIn(ecosystem, version, bound);
  if (introduced !== undefined && (order(introduced) ?? 0) < 0) return false;
  if (fixed !== undefined && (order(fixed) ?? -1) >= 0) return false;
  return lastAffected === undefined || (order(lastAffected) ?? -1) <= 0;
}
