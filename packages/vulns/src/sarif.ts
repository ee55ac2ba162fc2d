import type { Severity } from './advisory.ts';
import { type Finding, isExcluded } from './evaluate.ts';
import type { Vulnerability } from './match.ts';

/**
 * Returns a SARIF 2.1.0 log, which code hosts show as alerts: a rule per vulnerability, and a
 * result per affected package and subject.
 * @param notLookedUp what no database could be asked about: a notification each
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/
 */
export function sarifOf(
  findings: readonly Finding[],
  toolVersion: string,
  notLookedUp: readonly string[] = [],
): object {
  const rules = new Map(findings.map((finding) => [finding.id, ruleOf(finding)]));
  const ids = [...rules.keys()].toSorted();
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'lkt',
            version: toolVersion,
            rules: ids.map((id) => rules.get(id)),
          },
        },
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: notLookedUp.map((title) => ({
              level: 'note',
              message: { text: `${title} was not looked up` },
            })),
          },
        ],
        results: findings.map((finding) => resultOf(finding, ids)),
      },
    ],
  };
}

function ruleOf({ id, severity, summary }: Vulnerability): object {
  return {
    id,
    shortDescription: { text: summary === '' ? id : summary },
    helpUri: id.startsWith('CVE-')
      ? `https://www.cve.org/CVERecord?id=${id}`
      : `https://osv.dev/vulnerability/${id}`,
    properties: { 'security-severity': SCORES[severity], tags: ['security'] },
  };
}

function resultOf(finding: Finding, ids: readonly string[]): object {
  const { id, subject, package: item, severity, fixed, vex } = finding;
  const remedy = fixed === undefined ? 'no fix is known' : `fixed in ${fixed}`;
  return {
    ruleId: id,
    ruleIndex: ids.indexOf(id),
    level: LEVELS[severity],
    message: { text: `${item.name} ${item.version} has ${id}: ${remedy}` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: encodeURI(subject) } },
        logicalLocations: [{ fullyQualifiedName: item.purl, kind: 'package' }],
      },
    ],
    partialFingerprints: { vulnerability: `${subject} ${item.purl} ${id}` },
    suppressions: isExcluded(finding)
      ? [{ kind: 'external', status: 'accepted', justification: vex?.reason }]
      : undefined,
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

/** A score in the range of each severity; code hosts sort alerts by it. */
const SCORES: Readonly<Record<Severity, string>> = {
  critical: '9.0',
  high: '7.0',
  medium: '4.0',
  unknown: '4.0',
  low: '0.1',
};
