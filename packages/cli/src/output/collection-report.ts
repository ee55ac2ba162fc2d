import type { UpdatedPackage } from '@lkt/image';
import type { ValueChange } from '@lkt/inspect';
import type { PinChange } from '@lkt/pkg';
import { valueLine } from './diff-report.ts';
import { columns, section } from './lines.ts';
import { printable } from './printable.ts';
import { countsOf, listOf, packageRow, packageTable } from './update-report.ts';

/** A collection, and what another version of it changes. */
export interface CollectionUpdate {
  readonly name: string;
  /** As in lkt.yml, without a version: `npm:@lkt/packages`. */
  readonly source: string;
  /** Undefined for a directory. */
  readonly from?: string;
  readonly to?: string;
  /** Names of packages, as in this workspace. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  /** Debian packages in the lock files, by source package. */
  readonly debian: readonly UpdatedPackage[];
  /** Packages whose containers may do other things. */
  readonly privileges: readonly {
    readonly package: string;
    readonly changes: readonly ValueChange[];
  }[];
  /** Requirements for signatures that the collection has no longer, and new ones. */
  readonly policy: readonly string[];
}

/** The result of `lkt collection update`. */
export interface CollectionSummary {
  readonly isDryRun: boolean;
  /** Whether a database of vulnerabilities was known. */
  readonly hasAdvisories: boolean;
  readonly collections: readonly CollectionUpdate[];
  readonly pins: readonly PinChange[];
}

/** Returns the summary as lines. */
export function collectionLines(summary: CollectionSummary): readonly string[] {
  const { collections, pins } = summary;
  return [
    ...collections.flatMap((one) => [
      titleOf(one),
      ...section('  packages', packageLines(one).map(indented)),
      ...section('  debian', columns(one.debian.map(packageRow)).map(indented)),
      ...section('  privileges', privilegeLines(one).map(indented)),
      ...section('  policy', one.policy.map(indented)),
    ]),
    ...section('pins', countsOf(pins.map(({ file }) => file))),
    ...(lacksAdvisories(summary) ? [`to see what the updates fix: ${FETCH}`] : []),
  ].map(printable);
}

/** Returns the summary as GitHub-flavoured Markdown, for a pull request. */
export function collectionMarkdown(summary: CollectionSummary): string {
  const { collections, pins } = summary;
  const blocks = [
    ...collections.flatMap((one) => [
      [`**${titleOf(one)}**`],
      listOf('Packages', packageLines(one)),
      one.debian.length === 0 ? [] : packageTable(one.debian),
      isChanged(one)
        ? listOf('Changed privileges', one.privileges.length === 0 ? ['none'] : privilegeLines(one))
        : [],
      listOf('Changed policy', one.policy),
    ]),
    listOf('Pins', countsOf(pins.map(({ file }) => file))),
  ];
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map(printable).join('\n'))
    .join('\n\n')}\n`;
}

const FETCH = 'lkt vulns --update';

/** Reports whether a collection has another version. */
function isChanged({ from, to }: CollectionUpdate): boolean {
  return from !== to;
}

function titleOf({ name, source, from, to }: CollectionUpdate): string {
  if (from === undefined || to === undefined)
    return `${name}: ${source} has no versions; update the directory`;
  return from === to
    ? `${name}: ${source} ${short(from)} is the newest`
    : `${name}: ${source} ${short(from)} → ${short(to)}`;
}

/** Shortens the id of a commit. */
function short(version: string): string {
  return /^[0-9a-f]{40,64}$/.test(version) ? version.slice(0, 12) : version;
}

function packageLines({ added, removed, changed }: CollectionUpdate): readonly string[] {
  return [
    ...added.map((name) => `new: ${name}`),
    ...removed.map((name) => `removed: ${name}`),
    ...changed.map((name) => `changed: ${name}`),
  ];
}

function privilegeLines({ privileges }: CollectionUpdate): readonly string[] {
  return privileges.flatMap(({ package: name, changes }) =>
    changes.map((change) => `${name}: ${valueLine(change)}`),
  );
}

function lacksAdvisories({ hasAdvisories, collections }: CollectionSummary): boolean {
  return !hasAdvisories && collections.some(({ debian }) => debian.length > 0);
}

function indented(line: string): string {
  return `  ${line}`;
}
