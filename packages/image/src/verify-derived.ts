import { readdir, rm } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { ioError, undefinedIf } from '@lkt/core';
import { scratchStore, type Store } from '@lkt/oci';
import type { BuildOptions, Workspace } from '@lkt/pkg';
import { createImageAudit } from './audit/image-audit.ts';
import { buildImage, type BuildImageOptions } from './build-image.ts';

/** The result of `verifyDerived`. */
export interface DerivedCheck {
  /** Number of files that the store has of what was derived. */
  readonly checked: number;
  /** Paths of those with other content, sorted. */
  readonly bad: readonly string[];
}

/** Directories of the store with files derived from images, which builds read. */
export const DERIVED: readonly string[] = ['attestations/contents', 'contents', 'segments'];

/**
 * Builds an image without anything that the store has derived, and compares the result with it. A
 * wrong seal counts as missing. Writes nothing into the store but packages that it lacks.
 * @param top directory of the first config, with the waivers of audits
 * @throws LktError as `buildImage` does
 */
export async function verifyDerived(
  openWorkspace: () => Promise<Workspace>,
  options: Omit<BuildImageOptions, 'audit' | 'name' | 'outDir' | 'provenance'>,
  tools: BuildOptions,
  top: string,
): Promise<DerivedCheck> {
  const { store } = tools;
  await using temp = await store.tempDir();
  const scratch = await scratchStore(store, join(temp.path, 'store'));
  const audit = await createImageAudit({ store: scratch, top, cwd: top, isGate: false });
  const outDir = join(temp.path, 'files');
  await buildImage(
    openWorkspace,
    { ...options, store: scratch, outDir, name: 'image', audit },
    tools,
  );
  const checked: { readonly path: string; readonly isSame: boolean }[] = [];
  for (const area of DERIVED) checked.push(...(await compareArea(store, scratch, area)));
  const bad = checked.filter(({ isSame }) => !isSame).map(({ path }) => path);
  return { checked: checked.length, bad: bad.toSorted() };
}

/** Removes files that `verifyDerived` returned, with their records. */
export async function removeDerived(paths: readonly string[]): Promise<void> {
  try {
    for (const path of paths) {
      await rm(`${path}.sum`, { force: true });
      await rm(path, { force: true });
    }
  } catch (error) {
    throw ioError('cannot remove what is not as derived', error);
  }
}

async function compareArea(
  store: Store,
  scratch: Store,
  area: string,
): Promise<readonly { readonly path: string; readonly isSame: boolean }[]> {
  const names = (await readdir(join(scratch.dir, area)).catch(undefinedIf('ENOENT'))) ?? [];
  return names.flatMap((name) => {
    const derived = scratch.sealed.read(join(scratch.dir, area, name));
    const path = join(store.dir, area, name);
    const found = derived === undefined ? undefined : store.sealed.read(path);
    if (found === undefined) return [];
    const isOver = extname(name) === '.audit' && isExpired(found);
    return [{ path: path.replace(/\.sum$/, ''), isSame: isOver || found === derived }];
  });
}

/** Reports whether an audit no longer counts, since a certificate has expired. */
function isExpired(audit: string): boolean {
  const { until = Infinity } = JSON.parse(audit) as { until?: number };
  return Date.now() >= until;
}
