import { flattenArchives, type LayerArchive, readArchives, type Store } from '@lkt/oci';
import { type AuditOptions, auditFiles, type FilesReport } from './audit-files.ts';

/** Audits the file system that layers make, with scratch space in the store. */
export async function auditArchives(
  store: Store,
  archives: readonly LayerArchive[],
  options: Omit<AuditOptions, 'scratch' | 'now'>,
): Promise<FilesReport> {
  const tree = await flattenArchives(archives);
  await using scratch = await store.tempDir();
  return await auditFiles(
    { nodes: tree.walk(), contents: readArchives(archives, tree, () => true) },
    { ...options, scratch: scratch.path, now: new Date() },
  );
}
