import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isInside, type Repository } from '@lkt/git';
import type { ContextFile, ReadContent } from '@lkt/builder/inputs';
import { isErrno, LktError } from '@lkt/core';
import { WholeDirectories } from '@lkt/git/plain';
import { MAX_CHANGED_BYTES } from '../action-cache/checkout-state.ts';
import { contextFiles } from './context.ts';
import { requireCovered } from './covered-files.ts';
import {
  type HashOptions,
  readRepositories,
  type SourceHash,
  sourceHashes,
} from './source-hash.ts';
import { COLLECTION_FILE } from '../workspace/collection.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** Hashes and build contexts of packages at one moment, read with few calls of git. */
export interface Sources {
  readonly hash: (item: Package) => SourceHash;
  /** The hashes of all packages that were read, except those with invalid extra sources. */
  readonly hashes: ReadonlyMap<Package, SourceHash>;
  readonly context: (item: Package) => Promise<readonly ContextFile[]>;
  /** Files of the package that differ from HEAD, as paths relative to the top of the work tree. */
  readonly changes: (item: Package) => readonly string[];
}

interface ReadOptions extends HashOptions {
  /** The result is recorded in the action cache: reads `whole` of the hashes outside git. */
  readonly isTracked?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the sources of packages. The functions of the result throw the error of a package with
 * invalid extra sources.
 * @throws GIT_FAILED, TOOL_MISSING
 * @throws CONFIG_INVALID at an extra source that is missing or outside the repository
 */
export async function readSources(
  workspace: Workspace,
  packages: Iterable<Package>,
  { isTracked = false, signal, ...options }: ReadOptions = {},
): Promise<Sources> {
  const { hashPath } = options;
  const whole = isTracked ? new WholeDirectories(MAX_CHANGED_BYTES) : undefined;
  const items = [...packages];
  // An error of one package is thrown when that package is asked for.
  const extras = new Map(
    await Promise.all(
      items.map(async (item) => [item, await extraDirs(item).catch(asValue)] as const),
    ),
  );
  const dirs = [...extras].flatMap(([item, extra]) =>
    extra instanceof LktError ? [] : [item.dir, ...extra],
  );
  const known =
    hashPath === undefined
      ? await readRepositories(workspace.git, dirs, signal, workspace.gitTop, plainRoots(items))
      : undefined;
  for (const [item, extra] of extras)
    if (!(extra instanceof LktError))
      extras.set(item, outsideError(workspace, item, extra, known) ?? extra);
  const valid = [...extras].flatMap(([item, extra]) =>
    extra instanceof LktError
      ? []
      : [{ ...options, whole, item, dir: item.dir, extraSources: extra }],
  );
  const read = new Map<string, ReadContent>();
  const onRead = (path: string, content: ReadContent): void => void read.set(path, content);
  const all = await sourceHashes(workspace.git, valid, signal, known, onRead);
  const hashes = new Map(
    valid.flatMap(({ item }, index) => {
      const hash = all[index];
      return hash === undefined ? [] : [[item, hash] as const];
    }),
  );
  const repositories = known ?? new Map<string, Repository>();
  const covered = new Set<Package>();
  const of = (item: Package): { readonly extra: readonly string[]; readonly hash: SourceHash } => {
    const extra = extras.get(item);
    if (extra instanceof LktError) throw extra;
    const hash = hashes.get(item);
    if (hash === undefined || extra === undefined) throw new Error(`${item.name} was not read`);
    requirePublished(item, hash);
    if (!covered.has(item)) requireCovered(workspace, item, [item.dir, ...extra], repositories);
    covered.add(item);
    return { extra, hash };
  };
  return {
    hash: (item) => of(item).hash,
    hashes,
    context: async (item) => {
      const files = await contextOf(workspace, item, of(item).extra, repositories);
      return files.map((file) => ({ ...file, read: read.get(file.source) }));
    },
    changes: (item) => changesIn([item.dir, ...of(item).extra], repositories),
  };
}

/** @throws CONFIG_INVALID if the files of a collection are not those that it lists */
function requirePublished(item: Package, { committed }: SourceHash): void {
  const { collection } = item;
  if (collection?.published === undefined) return;
  const published = collection.publishedAs(item);
  if (published?.hash === committed) return;
  const why =
    published === undefined
      ? `${COLLECTION_FILE} does not list ${item.name}`
      : `the files of ${item.name} have the hash ${committed ?? 'none'}, but ${COLLECTION_FILE} lists ${published.hash}`;
  const again = collection.spec.source.kind === 'npm' ? ': npm ci' : '';
  throw new LktError('CONFIG_INVALID', `${dirname(item.file.path)}: ${why}`, {
    fix: `install the collection ${collection.name} again${again}`,
  });
}

/** Returns the roots of the collections that are not in git. */
function plainRoots(packages: readonly Package[]): readonly string[] {
  const roots = packages.flatMap(({ collection }) =>
    collection?.isPlain === true ? collection.root : [],
  );
  return [...new Set(roots)];
}

function asValue(error: unknown): LktError {
  if (!(error instanceof LktError)) throw error;
  return error;
}

function changesIn(
  dirs: readonly string[],
  repositories: ReadonlyMap<string, Repository>,
): readonly string[] {
  const found = dirs.flatMap((dir) => {
    const repository = repositories.get(dir);
    return repository?.changes(repository.pathOf(dir)) ?? [];
  });
  return [...new Set(found)].map((path) => Buffer.from(path, 'latin1').toString());
}

function contextOf(
  workspace: Workspace,
  item: Package,
  extra: readonly string[],
  repositories: ReadonlyMap<string, Repository>,
): Promise<readonly ContextFile[]> {
  const destinations = ['', ...item.extraSources.map(({ destination }) => destination)];
  const roots = [item.dir, ...extra].map((dir, index) => ({
    dir,
    destination: destinations[index] ?? '',
    repository: repositories.get(dir),
  }));
  return contextFiles(roots, item.dockerfile, (path) => workspace.displayPath(path));
}

/** Returns an error if an extra source is outside the repository: a clone would lack it. */
function outsideError(
  workspace: Workspace,
  item: Package,
  extra: readonly string[],
  repositories: ReadonlyMap<string, Repository> | undefined,
): LktError | undefined {
  const top = repositories?.get(item.dir)?.root ?? workspace.root;
  if (!isInside(item.dir, top)) return undefined;
  const index = extra.findIndex((dir) => !isInside(dir, top));
  const message = `${workspace.displayPath(extra[index] ?? '')} is outside the repository ${workspace.displayPath(top)}`;
  return item.extraSources[index]?.at.error(message, { fix: 'move it into the repository' });
}

async function extraDirs(item: Package): Promise<string[]> {
  return Promise.all(
    item.extraSources.map(async ({ source, at }) => {
      try {
        const path = await realpath(source);
        if ((await stat(path)).isDirectory()) return path;
      } catch (error) {
        if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
        throw at.error('no such directory', { cause: error });
      }
      throw at.error('not a directory', { fix: 'use the directory that contains it' });
    }),
  );
}
