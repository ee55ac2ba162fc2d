import type { Severity } from './advisory.ts';
import type { Vulnerability } from './match.ts';

/** A vulnerability of a target, as reported. */
export interface SarifFinding {
  readonly vulnerability: Vulnerability;
  /** The file, directory or image that was asked about. */
  readonly target: string;
  /** Why it does not apply, by a VEX statement. */
  readonly suppressed?: string;
}

/**
 * Returns a SARIF 2.1.0 log, which code hosts show as alerts: a rule per vulnerability, a result per
 * affected package and target.
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/
 */
export function sarifOf(findings: readonly SarifFinding[], toolVersion: string): object {
  const ids = [...new Set(findings.map(({ vulnerability }) => vulnerability.id))].toSorted();
  const first = (id: string): SarifFinding | undefined =>
    findings.find(({ vulnerability }) => vulnerability.id === id);
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'lkt',
            version: toolVersion,
            rules: ids.map((id) => ruleOf(id, first(id)?.vulnerability)),
          },
        },
        results: findings.map((finding) => resultOf(finding, ids)),
      },
    ],
  };
}

function ruleOf(id: string, vulnerability: Vulnerability | undefined): object {
  const text = vulnerability?.summary === '' ? id : (vulnerability?.summary ?? id);
  return {
    id,
    shortDescription: { text },
    helpUri: id.startsWith('CVE-')
      ? `https://www.cve.org/CVERecord?id=${id}`
      : `https://osv.dev/vulnerability/${id}`,
    properties: {
      'security-severity': SCORES[vulnerability?.severity ?? 'unknown'],
      tags: ['security'],
    },
  };
}

function resultOf(
  { vulnerability, target, suppressed }: SarifFinding,
  ids: readonly string[],
): object {
  const { id, package: item, severity, fixed } = vulnerability;
  const remedy = fixed === undefined ? 'no fix is known' : `fixed in ${fixed}`;
  return {
    ruleId: id,
    ruleIndex: ids.indexOf(id),
    level: LEVELS[severity],
    message: { text: `${item.name} ${item.version} has ${id}: ${remedy}` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: encodeURI(target) } },
        logicalLocations: [{ fullyQualifiedName: item.purl, kind: 'package' }],
      },
    ],
    partialFingerprints: { vulnerability: `${target} ${item.purl} ${id}` },
    suppressions:
      suppressed === undefined
        ? undefined
        : [{ kind: 'external', status: 'accepted', justification: suppressed }],
  };
}

/** Levels of SARIF, 3.27.10. */
const LEVELS: Readonly<Record<Severity, string>> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  unknown: 'warning',
  low: 'note',
};

/** A score in the range of each severity, by which code hosts sort alerts. */
const SCORES: Readonly<Record<Severity, string>> = {
  critical: '9.0',
  high: '7.0',
  medium: '4.0',
  unknown: '4.0',
  low: '0.1',
};
