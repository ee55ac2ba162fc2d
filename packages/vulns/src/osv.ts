import { LktError } from '@lkt/core';
import { calculateCvss } from './cvss.ts';
import {
  type Advisory,
  type AffectedPackage,
  type Ecosystem,
  type Severity,
  type VersionRange,
  worse,
} from './advisory.ts';
import { codenameOf } from './debian-releases.ts';
import { items, record, text, texts } from './json-fields.ts';
import { compareIn } from './version-order.ts';

/**
 * Reads an OSV record (https://ossf.github.io/osv-schema/), as far as it concerns Debian packages
 * and Go modules.
 * @returns undefined for a withdrawn record, or one about other ecosystems
 * @throws CONFIG_INVALID
 */
export function parseOsv(value: unknown, where: string): Advisory | undefined {
  const document = record(value);
  const id = text(document?.['id']);
  if (document === undefined || id === undefined)
    throw new LktError('CONFIG_INVALID', `${where} is not an OSV record: it has no "id"`);
  if (isTime(document['withdrawn'])) return undefined;
  if (!Array.isArray(document['affected'] ?? []))
    throw new LktError('CONFIG_INVALID', `${where}: "affected" is not a list`);
  const affected = items(document['affected']).flatMap((item) => affectedOf(record(item), where));
  if (affected.length === 0) return undefined;
  return {
    id,
    aliases: [...texts(document['aliases']), ...texts(document['upstream'])],
    summary: text(document['summary']) ?? firstLine(text(document['details'])),
    severity: severityOf(document),
    affected,
  };
}

function isTime(value: unknown): boolean {
  return !Number.isNaN(Date.parse(text(value) ?? ''));
}

type Fields = Readonly<Record<string, unknown>>;

function affectedOf(item: Fields | undefined, where: string): readonly AffectedPackage[] {
  const named = item?.['package'];
  // Of a program that is in no ecosystem.
  if (item !== undefined && named === undefined) return [];
  const [name, ecosystem] = ['name', 'ecosystem'].map((key) => text(record(named)?.[key]));
  if (item === undefined || name === undefined || ecosystem === undefined)
    throw new LktError('CONFIG_INVALID', `${where}: an entry of "affected" names no package`);
  const place = ecosystemOf(ecosystem);
  if (place === undefined) return [];
  const versions = texts(item['versions']);
  const ranges = items(item['ranges']).flatMap((range) =>
    rangesOf(record(range), place.ecosystem, where),
  );
  // Only a listed fix clears a version.
  if (ranges.length === 0 && versions.length === 0) ranges.push({});
  const urgency = text(record(item['ecosystem_specific'])?.['urgency']);
  return [
    {
      ...place,
      name,
      ranges,
      versions,
      ignored: urgency === 'unimportant',
    },
  ];
}

/**
 * Parses `Debian:13`, `Debian` for all releases, and `Go`. Undefined for an ecosystem without
 * components in lkt's images.
 */
function ecosystemOf(name: string): { ecosystem: Ecosystem; release?: string } | undefined {
  if (name === 'Go') return { ecosystem: 'go' };
  if (name === 'Debian') return { ecosystem: 'debian' };
  const [, release] = /^Debian:(\S+)$/.exec(name) ?? [];
  return release === undefined ? undefined : { ecosystem: 'debian', release: codenameOf(release) };
}

/** Returns the ranges of events, which may have any order. Skips ranges of git commits. */
function rangesOf(
  range: Fields | undefined,
  ecosystem: Ecosystem,
  where: string,
): readonly VersionRange[] {
  if (range === undefined || range['type'] === 'GIT') return [];
  const events = items(range['events']).flatMap((item) => {
    const event = record(item);
    for (const kind of ['introduced', 'fixed', 'last_affected'] as const) {
      const version = text(event?.[kind]);
      if (version !== undefined) return [{ kind, version }];
      if (event?.[kind] !== undefined)
        throw new LktError('CONFIG_INVALID', `${where}: "${kind}" of an event is not a text`);
    }
    return [];
  });
  const sorted = events.toSorted(
    (a, b) =>
      Number(b.version === '0') - Number(a.version === '0') ||
      (compareIn(ecosystem, a.version, b.version) ?? 0),
  );
  const ranges: VersionRange[] = [];
  // A range without a beginning begins with the first version.
  let introduced = sorted.some(({ kind }) => kind === 'introduced') ? undefined : '0';
  if (sorted.length === 0) return [];
  for (const { kind, version } of sorted) {
    if (kind === 'introduced') {
      introduced ??= version;
    } else if (introduced !== undefined) {
      ranges.push({
        introduced: introduced === '0' ? undefined : introduced,
        ...(kind === 'fixed' ? { fixed: version } : { lastAffected: version }),
      });
      introduced = undefined;
    }
  }
  if (introduced !== undefined)
    ranges.push({ introduced: introduced === '0' ? undefined : introduced });
  return ranges;
}

/** Returns the severity by CVSS, else the one that the database states. */
function severityOf(document: Fields): Severity {
  const scores = [document, ...items(document['affected']).map((item) => record(item))].flatMap(
    (fields) => items(fields?.['severity']),
  );
  let severity: Severity = 'unknown';
  for (const score of scores)
    severity = worse(severity, calculateCvss(text(record(score)?.['score']) ?? ''));
  if (severity !== 'unknown') return severity;
  const specific = [
    record(document['database_specific']),
    ...items(document['affected']).map((item) => record(record(item)?.['ecosystem_specific'])),
  ];
  for (const fields of specific)
    severity = worse(
      severity,
      WORDS.get((text(fields?.['severity']) ?? text(fields?.['urgency']) ?? '').toLowerCase()) ??
        'unknown',
    );
  return severity;
}

/** The words of GitHub's advisories and of Debian's tracker. */
const WORDS: ReadonlyMap<string, Severity> = new Map([
  ['critical', 'critical'],
  ['high', 'high'],
  ['moderate', 'medium'],
  ['medium', 'medium'],
  ['low', 'low'],
  ['unimportant', 'low'],
]);

function firstLine(details = ''): string {
  return details.split('\n', 1)[0]?.trim() ?? '';
}
