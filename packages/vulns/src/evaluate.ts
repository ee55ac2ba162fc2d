import { isAtLeast, type Severity } from './advisory.ts';
import { type AdvisoryIndex, findVulnerabilities, type Vulnerability } from './match.ts';
import { statementFor, type VexStatement } from './open-vex.ts';
import type { SbomPackage } from './sbom-package.ts';

/** The packages of an image or of an SBOM file. */
export interface Subject {
  /** The image or file as the user named it. */
  readonly name: string;
  /** Package URLs and references of the image, for VEX statements; none for a file. */
  readonly images: readonly string[];
  readonly packages: readonly SbomPackage[];
}

/** A vulnerability of a package of a subject, with what VEX says about it. */
export interface Finding extends Vulnerability {
  /** Name of the subject. */
  readonly subject: string;
  readonly vex?: Pick<VexStatement, 'status' | 'reason'>;
}

/** Returns the vulnerabilities of subjects, the worst of each first. */
export function evaluate(
  subjects: readonly Subject[],
  advisories: AdvisoryIndex,
  statements: readonly VexStatement[],
): readonly Finding[] {
  return subjects.flatMap(({ name, images, packages }) =>
    findVulnerabilities(packages, advisories).map((vulnerability) => {
      const statement = statementFor(vulnerability, images, statements);
      const vex = statement && { status: statement.status, reason: statement.reason };
      return { ...vulnerability, subject: name, vex };
    }),
  );
}

/** Reports whether a VEX statement says that a vulnerability does not apply. */
export function isExcluded({ vex }: Finding): boolean {
  return vex?.status === 'not_affected' || vex?.status === 'fixed';
}

/**
 * Returns the findings that a gate must stop at: of at least `threshold` or of unknown severity,
 * neither negligible nor excluded by VEX.
 */
export function failing(findings: readonly Finding[], threshold: Severity): readonly Finding[] {
  return findings.filter(
    (finding) =>
      !finding.negligible &&
      !isExcluded(finding) &&
      (finding.severity === 'unknown' || isAtLeast(finding.severity, threshold)),
  );
}
