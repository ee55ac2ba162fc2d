import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { debianSpec } from './debian-package.ts';
import { lockPackage, type LockPackageOptions } from './lock.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { writeFileWhole } from '../write-file.ts';

/** A source of upstream's that a package is made from, and what the archive has instead. */
export interface SourceUpdate {
  /** The build.yml, as the user would name it. */
  readonly file: string;
  readonly source: string;
  /** `6.12`: only versions of the same two numbers are looked for. */
  readonly series: string;
  /** The version that build.yml names. */
  readonly from: string;
  /** The newest that the archive serves, if it is newer. */
  readonly to: string | undefined;
  /** Versions still newer that the archive lists and does not serve. */
  readonly notServed: readonly string[];
}

/** The source of a build.yml that names one version: `linux (= 6.12.107-1)`. */
interface PinnedSource {
  /** As it stands in build.yml. */
  readonly text: string;
  readonly version: string;
}

/**
 * Looks in the archive for a newer source of the same series. Writes nothing.
 * @throws LktError CONFIG_INVALID when build.yml names no version of the source; what `newestSource` throws
 */
export async function findSourceUpdate(
  workspace: Workspace,
  item: Package,
  source: string,
  options: LockPackageOptions,
): Promise<SourceUpdate> {
  const { newestSource, parseAlternative, upstreamVersion } = await import('@lkt/debian');
  const { version: from } = pinnedSource(item, source, parseAlternative);
  const series = seriesOf(upstreamVersion(from), item);
  const [architecture = 'amd64'] = item.arches;
  const { newest, notServed } = await newestSource(
    debianSpec(item, { os: 'linux', architecture }),
    {
      name: source,
      than: from,
      accepts: (version) => upstreamVersion(version).startsWith(`${series}.`),
    },
    await options.mirror(),
    options,
  );
  const file = workspace.displayPath(join(item.dir, workspace.buildYml));
  return { file, source, series, from, to: newest?.version, notServed };
}

/**
 * Writes the version that was found into build.yml, and the lock. The lock first: when the archive fails, nothing has
 * changed.
 * @throws LktError what `lockPackage` throws
 */
export async function applySourceUpdate(
  workspace: Workspace,
  item: Package,
  { source, to }: SourceUpdate,
  options: LockPackageOptions,
): Promise<void> {
  if (to === undefined) return;
  const { parseAlternative } = await import('@lkt/debian');
  const { text } = pinnedSource(item, source, parseAlternative);
  const at = item.file.text.indexOf(text);
  if (at === -1 || item.file.text.includes(text, at + 1))
    throw invalid(item, `${text} does not stand there once, as it is written`);
  const wanted = `${source} (= ${to})`;
  const { debian } = item;
  const sources = debian?.sources?.map((one) => (one === text ? wanted : one));
  await lockPackage(
    workspace,
    { ...item, debian: debian && { ...debian, ...(sources && { sources }) } },
    options,
  );
  const edited = `${item.file.text.slice(0, at)}${wanted}${item.file.text.slice(at + text.length)}`;
  await writeFileWhole(join(item.dir, workspace.buildYml), edited);
}

/** Whether a package is made from a source package of this name. */
export function hasSource(item: Package, source: string): boolean {
  return item.debian?.sources?.some((text) => /^[^\s(]+/.exec(text)?.[0] === source) ?? false;
}

function pinnedSource(
  item: Package,
  source: string,
  parse: (text: string) => { readonly relation?: string; readonly version?: string },
): PinnedSource {
  const text = item.debian?.sources?.find((one) => /^[^\s(]+/.exec(one)?.[0] === source);
  if (text === undefined) throw invalid(item, `names no source ${source}`);
  const { relation, version } = parse(text);
  if (relation !== '=' || version === undefined)
    throw invalid(item, `names no version of ${source}, so the lock has the newest`);
  return { text, version };
}

function seriesOf(version: string, item: Package): string {
  const series = /^(?:\d+:)?\d+\.\d+(?=\.)/.exec(version)?.[0];
  if (series === undefined) throw invalid(item, `${version} is of no series such as 6.12`);
  return series;
}

function invalid(item: Package, what: string): LktError {
  return new LktError('CONFIG_INVALID', `${item.file.path}: ${what}`, {
    fix: 'name one under "sources" of "debian": [\'linux (= 6.12.107-1)\']',
  });
}
