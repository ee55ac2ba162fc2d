import { LktError } from '@lkt/core';
import { calculateCvss } from './cvss.ts';
import {
  type Advisory,
  type AffectedPackage,
  type Severity,
  type VersionRange,
  worse,
} from './advisory.ts';
import { compareIn, type Ecosystem, ecosystemOf } from './ecosystems.ts';
import { items, record, text, texts } from './json-fields.ts';

/**
 * Reads an OSV record (https://ossf.github.io/osv-schema/), as far as it concerns ecosystems that
 * lkt looks up.
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
  const named = items(document['affected']).flatMap((item) => namedPackage(record(item), where));
  const affected = named.flatMap((item) => affectedOf(item, where));
  if (affected.length === 0) return undefined;
  return {
    id,
    aliases: [...texts(document['aliases']), ...texts(document['upstream'])],
    summary: text(document['summary']) ?? firstLine(text(document['details'])),
    severity: severityOf(document),
    affected: withoutUnknown(affected),
    isShared: new Set(named.map(({ ecosystem }) => ecosystem.split(':', 1)[0])).size > 1,
  };
}

function isTime(value: unknown): boolean {
  return !Number.isNaN(Date.parse(text(value) ?? ''));
}

type Fields = Readonly<Record<string, unknown>>;

/** An entry of "affected", with the package that it names. */
interface Entry {
  readonly name: string;
  readonly ecosystem: string;
  readonly fields: Fields;
}

/** Returns none for an entry about a program that is in no ecosystem. */
function namedPackage(fields: Fields | undefined, where: string): readonly Entry[] {
  const named = fields?.['package'];
  if (fields !== undefined && named === undefined) return [];
  const [name, ecosystem] = ['name', 'ecosystem'].map((key) => text(record(named)?.[key]));
  if (fields === undefined || name === undefined || ecosystem === undefined)
    throw new LktError('CONFIG_INVALID', `${where}: an entry of "affected" names no package`);
  return [{ name, ecosystem, fields }];
}

function affectedOf({ name, ecosystem, fields }: Entry, where: string): readonly AffectedPackage[] {
  const place = ecosystemOf(ecosystem);
  if (place === undefined) return [];
  const versions = texts(fields['versions']);
  const ranges = items(fields['ranges']).flatMap((range) =>
    rangesOf(record(range), place.ecosystem, where),
  );
  const urgency = text(record(fields['ecosystem_specific'])?.['urgency']);
  return [{ ...place, name, ranges, versions, ignored: urgency === 'unimportant' }];
}

/**
 * Makes entries without versions, such as those with git commits only, ones about all versions:
 * only a listed fix clears a version. Omits those about a package whose versions another entry
 * lists.
 */
function withoutUnknown(affected: readonly AffectedPackage[]): readonly AffectedPackage[] {
  const known = new Set(affected.filter(hasVersions).map(keyOf));
  return affected.flatMap((item) => {
    if (hasVersions(item)) return [item];
    return known.has(keyOf(item)) ? [] : [{ ...item, ranges: [{}] }];
  });
}

function hasVersions({ ranges, versions }: AffectedPackage): boolean {
  return ranges.length + versions.length > 0;
}

function keyOf({ ecosystem, release, name }: AffectedPackage): string {
  return JSON.stringify([ecosystem, release, name]);
}

const KINDS = ['introduced', 'fixed', 'last_affected', 'limit'] as const;

/**
 * Returns the ranges of events, which may have any order (OSV schema, "Evaluation"). Skips ranges
 * of git commits.
 */
function rangesOf(
  range: Fields | undefined,
  ecosystem: Ecosystem,
  where: string,
): readonly VersionRange[] {
  if (range === undefined || range['type'] === 'GIT') return [];
  const events = items(range['events']).flatMap((item) => {
    const event = record(item);
    return KINDS.flatMap((kind) => {
      const version = text(event?.[kind]);
      if (version !== undefined) return [{ kind, version }];
      if (event?.[kind] === undefined) return [];
      throw new LktError('CONFIG_INVALID', `${where}: "${kind}" of an event is not a text`);
    });
  });
  const limits = events.flatMap(({ kind, version }) => (kind === 'limit' ? [version] : []));
  const bounded = limits.length === 0 || limits.includes('*') ? {} : { limits };
  const sorted = events
    .filter(({ kind }) => kind !== 'limit')
    .toSorted(
      (a, b) =>
        Number(b.version === '0') - Number(a.version === '0') ||
        (compareIn(ecosystem, a.version, b.version) ?? 0) ||
        KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind),
    );
  if (events.length === 0) return [];
  const ranges: VersionRange[] = [];
  // A range without a beginning begins with the first version.
  let introduced = sorted.some(({ kind }) => kind === 'introduced') ? undefined : '0';
  let again: string | undefined;
  for (const { kind, version } of sorted) {
    if (kind === 'introduced') {
      if (introduced !== undefined) again = version;
      introduced ??= version;
    } else if (introduced !== undefined) {
      const end = kind === 'fixed' ? { fixed: version } : { lastAffected: version };
      ranges.push({ introduced: beginning(introduced), ...end, ...bounded });
      // A version that one range ends with and another begins with is affected.
      const begins = again !== undefined && compareIn(ecosystem, again, version) === 0;
      introduced = begins ? version : undefined;
    }
  }
  if (introduced !== undefined) ranges.push({ introduced: beginning(introduced), ...bounded });
  return ranges;
}

/** Returns the beginning of a range; undefined for the first version of all. */
function beginning(introduced: string): string | undefined {
  return introduced === '0' ? undefined : introduced;
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
