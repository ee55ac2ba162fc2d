import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flattenArchives, layerArchives, openStore, writeLayer } from '@lkt/oci';
import { expect, test } from 'vitest';
import { auditArchives } from '../src/audit-archives.ts';

test('reads each layer once if the tree of the layers is known, with the same findings', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-audit-archives-'));
  const store = await openStore(dir.path);
  const layer = await writeLayer(store, [
    { path: 'open', type: 'file', mode: 0o4777, uid: 0, gid: 0, mtime: 0, size: 0 },
  ]);
  let reads = 0;
  const archives = layerArchives(store, [layer]).map((archive) => ({
    ...archive,
    open: (maxBytes?: number) => {
      reads += 1;
      return archive.open(maxBytes);
    },
  }));
  const alone = await auditArchives(store, archives, {});
  expect(alone.findings).not.toEqual([]);
  expect(reads).toBe(2);
  const tree = await flattenArchives(archives);
  reads = 0;
  expect(await auditArchives(store, archives, { tree })).toEqual(alone);
  expect(reads).toBe(1);
});
