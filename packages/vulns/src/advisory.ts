import type { Ecosystem } from './ecosystems.ts';

/** Severity of a vulnerability, from the least to the worst. */
export const SEVERITIES = ['unknown', 'low', 'medium', 'high', 'critical'] as const;

/** The severity of a vulnerability, from least to most. */
export type Severity = (typeof SEVERITIES)[number];

/** A vulnerability, and the versions of packages that have it. */
export interface Advisory {
  /** `CVE-2025-31133`, `GO-2025-4012`, `GHSA-…`, or `DEBIAN-CVE-…`. */
  readonly id: string;
  /** Other ids of the same vulnerability. */
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly severity: Severity;
  readonly affected: readonly AffectedPackage[];
  /** It also names packages of other ecosystems, so that it may come from the database of one. */
  readonly isShared?: boolean;
}

/** The affected versions of one package. */
export interface AffectedPackage {
  readonly ecosystem: Ecosystem;
  /**
   * Release of the distribution: `trixie`, `v3.20`. Undefined where versions do not depend on it.
   */
  readonly release?: string;
  /** For Debian and Alpine, the source package; for Go, the module path, or `stdlib`. */
  readonly name: string;
  readonly ranges: readonly VersionRange[];
  /** Affected versions listed one by one. */
  readonly versions: readonly string[];
  /** The distribution has judged the vulnerability negligible, or will not fix it. */
  readonly ignored?: boolean;
}

/** From `introduced`, inclusive, to `fixed`, exclusive, or `lastAffected`, inclusive. */
export interface VersionRange {
  /** Undefined: every version before the end of the range. */
  readonly introduced?: string;
  readonly fixed?: string;
  readonly lastAffected?: string;
  /** Only versions before one of these are in the range; undefined: all. */
  readonly limits?: readonly string[];
}

/** Returns the more severe of two severities. */
export function worse(a: Severity, b: Severity): Severity {
  return SEVERITIES.indexOf(a) < SEVERITIES.indexOf(b) ? b : a;
}

/** Reports whether a severity is at least `threshold`. */
export function isAtLeast(severity: Severity, threshold: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(threshold);
}
