import { join } from 'node:path';
import { LktError, writeFileAtomic } from '@lkt/core';
import { debianSpec } from './debian-package.ts';
import { lockPackage, type LockPackageOptions } from './lock.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A Debian source package that build.yml pins, and the newest version in the archive. */
export interface SourceUpdate {
  /** Path of the build.yml as shown to the user. */
  readonly file: string;
  readonly source: string;
  /** Major and minor version, `6.12`. Only versions of the same series are considered. */
  readonly series: string;
  /** The version in build.yml. */
  readonly from: string;
  /** The newest version that can be downloaded, if it is newer. */
  readonly to: string | undefined;
  /** Newer versions in the archive's index whose files cannot be downloaded. */
  readonly notServed: readonly string[];
}

/**
 * Looks for a newer version of a source package in the same series. Writes nothing.
 * @throws CONFIG_INVALID if build.yml has no exact version of the source package
 * @throws LktError as `newestSource` does
 * @example
 * ```ts
 * const update = await findSourceUpdate(workspace, kernel, 'linux', options);
 * if (update.to !== undefined) await applySourceUpdate(workspace, kernel, update, options);
 * ```
 */
export async function findSourceUpdate(
  workspace: Workspace,
  item: Package,
  source: string,
  options: LockPackageOptions,
): Promise<SourceUpdate> {
  const { newestSource, upstreamVersion } = await import('@lkt/debian');
  const { version: from } = await pinnedSource(item, source);
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
 * Writes the new version into the lock file, then into build.yml. If the archive fails, neither
 * file changes.
 * @throws LktError as `lockPackage` does
 */
export async function applySourceUpdate(
  workspace: Workspace,
  item: Package,
  { source, to }: SourceUpdate,
  options: LockPackageOptions,
): Promise<void> {
  if (to === undefined) return;
  const { text } = await pinnedSource(item, source);
  const at = item.file.text.indexOf(text);
  if (at === -1 || item.file.text.includes(text, at + 1))
    throw invalid(item, `"${text}" does not occur exactly once`);
  const wanted = `${source} (= ${to})`;
  const { debian } = item;
  const sources = debian?.sources?.map((one) => (one === text ? wanted : one));
  await lockPackage(
    workspace,
    { ...item, debian: debian && { ...debian, ...(sources && { sources }) } },
    options,
  );
  const edited = `${item.file.text.slice(0, at)}${wanted}${item.file.text.slice(at + text.length)}`;
  await writeFileAtomic(join(item.dir, workspace.buildYml), edited);
}

/** Reports whether a package is built from the source package of this name. */
export function hasSource(item: Package, source: string): boolean {
  return item.debian?.sources?.some((text) => /^[^\s(]+/.exec(text)?.[0] === source) ?? false;
}

/** Reports whether build.yml has an exact version of a source package. */
export async function isPinnedSource(item: Package, source: string): Promise<boolean> {
  const { parseAlternative } = await import('@lkt/debian');
  const sources = item.debian?.sources?.map(parseAlternative) ?? [];
  return sources.some(({ name, relation }) => name === source && relation === '=');
}

/** Returns the text in build.yml that pins a source package, such as `linux (= 6.12.107-1)`. */
async function pinnedSource(
  item: Package,
  source: string,
): Promise<{ readonly text: string; readonly version: string }> {
  const { parseAlternative } = await import('@lkt/debian');
  const text = item.debian?.sources?.find((one) => /^[^\s(]+/.exec(one)?.[0] === source);
  if (text === undefined) throw invalid(item, `has no source package ${source}`);
  const { relation, version } = parseAlternative(text);
  if (relation !== '=' || version === undefined)
    throw invalid(item, `has no exact version of ${source}, so the lock has the newest`);
  return { text, version };
}

function seriesOf(version: string, item: Package): string {
  const series = /^(?:\d+:)?\d+\.\d+(?=\.)/.exec(version)?.[0];
  if (series === undefined) throw invalid(item, `version ${version} has no series such as 6.12`);
  return series;
}

function invalid(item: Package, what: string): LktError {
  return new LktError('CONFIG_INVALID', `${item.file.path}: ${what}`, {
    fix: 'pin it under "sources" of "debian": [\'linux (= 6.12.107-1)\']',
  });
}
