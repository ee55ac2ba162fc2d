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
  if (document['withdrawn'] !== undefined) return undefined;
  const affected = items(document['affected']).flatMap((item) => affectedOf(record(item)));
  if (affected.length === 0) return undefined;
  return {
    id,
    aliases: [...texts(document['aliases']), ...texts(document['upstream'])],
    summary: text(document['summary']) ?? firstLine(text(document['details'])),
    severity: severityOf(document),
    affected,
  };
}

type Fields = Readonly<Record<string, unknown>>;

function affectedOf(item: Fields | undefined): readonly AffectedPackage[] {
  const named = record(item?.['package']);
  const name = text(named?.['name']);
  const place = ecosystemOf(text(named?.['ecosystem']) ?? '');
  if (item === undefined || name === undefined || place === undefined) return [];
  const ranges = items(item['ranges']).flatMap((range) => rangesOf(record(range), place.ecosystem));
  const urgency = text(record(item['ecosystem_specific'])?.['urgency']);
  return [
    {
      ...place,
      name,
      ranges,
      versions: texts(item['versions']),
      ignored: urgency === 'unimportant',
    },
  ];
}

/** Parses `Debian:13`, `Go`. Undefined for an ecosystem without components in lkt's images. */
function ecosystemOf(name: string): { ecosystem: Ecosystem; release?: string } | undefined {
  if (name === 'Go') return { ecosystem: 'go' };
  const [, release] = /^Debian:(\S+)$/.exec(name) ?? [];
  return release === undefined ? undefined : { ecosystem: 'debian', release: codenameOf(release) };
}

/** Returns the ranges of events, which may have any order. Skips ranges of git commits. */
function rangesOf(range: Fields | undefined, ecosystem: Ecosystem): readonly VersionRange[] {
  if (range === undefined || range['type'] === 'GIT') return [];
  const events = items(range['events']).flatMap((item) => {
    const event = record(item);
    for (const kind of ['introduced', 'fixed', 'last_affected'] as const) {
      const version = text(event?.[kind]);
      if (version !== undefined) return [{ kind, version }];
    }
    return [];
  });
  const sorted = events.toSorted(
    (a, b) =>
      Number(b.version === '0') - Number(a.version === '0') ||
      (compareIn(ecosystem, a.version, b.version) ?? 0),
  );
  const ranges: VersionRange[] = [];
  let introduced: string | undefined;
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
