import { LktError } from '@lkt/core';
import type { Advisory, AffectedPackage, Severity } from './advisory.ts';
import { codenameOf } from './debian-releases.ts';
import { record, text } from './json-fields.ts';

/**
 * Reads the entries of one source package in the JSON of Debian's security tracker: ids of
 * vulnerabilities, each with its state in every release.
 * @param where the database, for messages
 * @throws CONFIG_INVALID for an entry of another form: skipped, its vulnerability would be missing
 * @see https://security-tracker.debian.org/tracker/data/json
 */
export function parseTrackerPackage(
  name: string,
  value: unknown,
  where: string,
): readonly Advisory[] {
  const invalid = (what: string): LktError =>
    new LktError('CONFIG_INVALID', `${where}: ${what} has no states of releases`);
  const entries = record(value);
  if (entries === undefined) throw invalid(`"${name}"`);
  return Object.entries(entries).flatMap(([id, entry]) => {
    const fields = record(entry);
    const states = record(fields?.['releases']);
    if (states === undefined) throw invalid(`"${id}" of "${name}"`);
    const releases = Object.entries(states);
    const affected = releases.flatMap(([release, state]) =>
      affectedOf(name, release, record(state)),
    );
    if (affected.length === 0) return [];
    const urgencies = releases.map(([, state]) => text(record(state)?.['urgency']) ?? '');
    return [
      {
        id,
        aliases: [],
        summary: text(fields?.['description']) ?? '',
        severity: severityOf(urgencies),
        affected,
      },
    ];
  });
}

/** Reports whether a value has the form of a package's entries, `{"CVE-…": {"releases": …}}`. */
export function isTrackerPackage(value: unknown): boolean {
  const entries = Object.values(record(value) ?? {});
  return entries.length > 0 && entries.every((entry) => record(record(entry)?.['releases']));
}

function affectedOf(
  name: string,
  release: string,
  state: Readonly<Record<string, unknown>> | undefined,
): readonly AffectedPackage[] {
  const status = text(state?.['status']);
  const fixed = text(state?.['fixed_version']);
  // An undetermined state counts as affected until the tracker says otherwise.
  const range = status === 'resolved' ? { fixed } : {};
  // Version 0: no version of the release was ever affected.
  const ranges = status === 'resolved' && fixed === '0' ? [] : [range];
  const ignored = text(state?.['urgency']) === 'unimportant';
  const place = { ecosystem: 'debian', release: codenameOf(release), name } as const;
  return [{ ...place, ranges, versions: [], ignored }];
}

/** Returns the severity of urgencies such as `medium**`; most are `not yet assigned`. */
function severityOf(urgencies: readonly string[]): Severity {
  for (const severity of ['high', 'medium', 'low'] as const)
    if (urgencies.some((urgency) => urgency.startsWith(severity))) return severity;
  return urgencies.includes('unimportant') ? 'low' : 'unknown';
}
