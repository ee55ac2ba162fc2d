import type { Digest } from '@lkt/core';
import {
  type FileTree,
  flattenArchives,
  type LayerArchive,
  layersOf,
  loadImage,
  type Platform,
  readArchives,
  type Store,
  UnpackedLayers,
} from '@lkt/oci';
import { type AuditOptions, auditFiles, type FilesReport } from './audit-files.ts';

interface ArchiveAuditOptions extends Omit<AuditOptions, 'scratch' | 'now'> {
  /** The file system of the layers, if known: each is then read once instead of twice. */
  readonly tree?: FileTree | undefined;
}

/** Audits the file system of an image in the store, for one platform. */
export async function auditImage(
  store: Store,
  digest: Digest,
  platform: Platform,
  options: ArchiveAuditOptions,
): Promise<FilesReport> {
  const image = await loadImage(store, digest, platform);
  await using unpacked = new UnpackedLayers(store);
  return await auditArchives(store, unpacked.archives(layersOf(image)), options);
}

/** Audits the file system that layers make, with scratch space in the store. */
export async function auditArchives(
  store: Store,
  archives: readonly LayerArchive[],
  options: ArchiveAuditOptions,
): Promise<FilesReport> {
  const { tree = await flattenArchives(archives), ...how } = options;
  await using scratch = await store.tempDir();
  return await auditFiles(
    { nodes: tree.walk(), contents: readArchives(archives, tree, () => true) },
    { ...how, scratch: scratch.path, now: new Date() },
  );
}
