import { LktError, mapConcurrent } from '@lkt/core';
import { fromRaw, parentPath, type RawPath } from '@lkt/oci';
import type { Compression } from '@lkt/formats';
import { errorAt } from '../config/fields.ts';
import type { Layout } from '../config/layout.ts';
import { MANIFEST_SEGMENT, type Plan } from '../plan.ts';
import { CONCURRENCY } from '../concurrency.ts';
import { CONFIG_SEGMENT, memoryPart } from '../tree/containers.ts';
import { MemoryEntries } from '../tree/memory.ts';
import { mergeParts, type Root, type RootEntry } from '../tree/merge.ts';
import { contentText, type Origin, type Part } from '../tree/part.ts';
import { type ErofsArchive, erofsArchive } from './erofs-archive.ts';
import { requireErofs } from './erofs-kernel.ts';
import { mountedRoots, type MountedRoot, ROOTS, ROOTS_PATH } from './erofs-roots.ts';
import { escapedPath, MANIFEST_PATH, manifestOf } from './manifest.ts';

const MODULES: RawPath = 'usr/lib/modules';
/** Lists the modules needed to mount the root. */
const LOAD_PATH: RawPath = `${MODULES}/load-root`;

/**
 * Returns the plan of the initrd. With the erofs layout it has the init, the kernel's erofs
 * modules, and the files of the image in file systems that init mounts: docs/guest.md.
 * @throws LktError UNSUPPORTED if the kernel, compressor or erofs cannot; CONFIG_INVALID without a
 * ramfs
 */
export async function layOut(plan: Plan, compression: Compression): Promise<Plan> {
  const { layout } = plan.config;
  if (layout?.kind !== 'erofs') return plan;
  const modules = await modulesOf(plan.root);
  const compressor = requireErofs(plan, layout, compression, modules.length > 0);
  const largest = mountedRoots(plan.root).toSorted((a, b) => contentSize(b) - contentSize(a));
  const archives = await mapConcurrent(
    largest,
    async (one) => erofsArchive(plan, one, compression, compressor),
    { concurrency: CONCURRENCY },
  );
  const mounted = archives.toSorted((a, b) => (a.root.target < b.root.target ? -1 : 1));
  const root = mergeParts([
    ...starters(plan.root, [initOf(plan.root, layout), ...modules]),
    memoryPart(directoriesOf(mounted), OWN, 'roots', ROOTS),
    ...mounted.map(archivePart),
    memoryPart(
      new MemoryEntries().file(ROOTS_PATH, listOf(mounted), 0o444),
      OWN,
      'roots',
      CONFIG_SEGMENT,
    ),
    memoryPart(new MemoryEntries().file(MANIFEST_PATH, ''), OWN, 'the manifest', MANIFEST_SEGMENT),
  ]);
  return { ...plan, root, manifest: manifestOf(root) };
}

const OWN: Origin = { source: 'lkt.layout', location: 'layout' };

function contentSize({ entries }: MountedRoot): number {
  return entries.reduce((sum, { size }) => sum + size, 0);
}

function initOf({ entries }: Root, { at }: Layout): RootEntry {
  const init = entries.get('init');
  if (init?.type === 'file') return init;
  throw errorAt('UNSUPPORTED', at, 'it needs the file /init, and no image has one', {
    fix: 'add lkt/init to init, or remove "layout"',
  });
}

/** Returns the `load-root` file and the modules that it lists. */
async function modulesOf({ entries, parts }: Root): Promise<readonly RootEntry[]> {
  const list = entries.get(LOAD_PATH);
  const part = parts[list?.part ?? -1];
  if (list?.type !== 'file' || list.content === undefined || part === undefined) return [];
  const names = (await contentText(part.contents, list.content))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const modules = names.map((name) => {
    const found = entries.get(`${MODULES}/${name}`);
    if (found?.type === 'file') return found;
    throw new LktError(
      'NOT_FOUND',
      `/${LOAD_PATH} of ${part.label} lists /${MODULES}/${fromRaw(name)}, which does not exist`,
    );
  });
  return [list, ...modules];
}

/**
 * Returns the parts that run before the root is mounted, with the directories that init mounts on.
 */
function starters({ parts }: Root, entries: readonly RootEntry[]): readonly Part[] {
  const directories = new MemoryEntries();
  for (const path of ['dev', 'mnt', 'proc']) directories.directory(path);
  const byPart = Map.groupBy(entries, ({ part }) => part);
  return [
    memoryPart(directories, OWN, 'what starts the image', 'start'),
    ...[...byPart].flatMap(([index, own]) => {
      const part = parts[index];
      if (part === undefined) return [];
      const { origin, label, contents } = part;
      return [{ origin, label, contents, isRoot: true, segment: 'start', entries: own }];
    }),
  ];
}

/** Returns the directories above the archived files, which the archives lack. */
function directoriesOf(archives: readonly ErofsArchive[]): MemoryEntries {
  const directories = new MemoryEntries();
  for (const { entry } of archives)
    for (let path = parentPath(entry.path); path !== ''; path = parentPath(path))
      directories.directory(path);
  return directories;
}

function archivePart({ entry, file, root: { label } }: ErofsArchive): Part {
  const { path } = entry;
  // The segment is in the cache already, so no contents are read.
  const contents = { key: file.digest, async *read() {} };
  const entries = [{ ...entry, content: path }];
  return { origin: OWN, label, isRoot: false, segment: path, entries, contents, archive: file };
}

/** Formats a line per root: CRC-32, file, mount point. */
function listOf(archives: readonly ErofsArchive[]): string {
  const lines = archives.map(({ sum, entry, root: { target } }) => {
    const words = [
      sum.toString(16).padStart(8, '0'),
      escapedPath(entry.path),
      `/${escapedPath(target)}`,
    ];
    return `${words.join(' ')}\n`;
  });
  return `lkt-roots 1 ${lines.length}\n${lines.join('')}`;
}
