import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { cacheFilePath, writeCacheFile } from '@lkt/attest/cache-file';
import { digestOf } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { expect, test } from 'vitest';
import { ownAttestations } from '../../src/attest/own-attestations.ts';

/** Records a package whose four attestations have digests made from its name. */
async function record(store: Store, name: string): Promise<string> {
  const one = (kind: string) => ({
    sbom: { digest: digestOf(`${name} ${kind} sbom`) },
    provenance: { digest: digestOf(`${name} ${kind} provenance`) },
  });
  const path = cacheFilePath(store, 'records', name);
  await writeCacheFile(store, path, [
    JSON.stringify({ index: one('index'), images: [one('image')] }),
  ]);
  return path;
}

test('records are read again only when one was added', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-'));
  const store = await openStore(dir.path);
  expect(await ownAttestations(store)).toEqual(new Set());
  const path = await record(store, 'a');
  // Later than the granularity of the ctime.
  await setTimeout(100);
  const ofA = await ownAttestations(store);
  expect(ofA.size).toBe(4);
  // Written in place, which lkt does not do, it shows that the file is not read.
  writeFileSync(path, 'damaged');
  expect(await ownAttestations(store)).toEqual(ofA);
  await record(store, 'b');
  const ofB = await ownAttestations(store);
  expect(ofB.size).toBe(4);
  expect(ofB.intersection(ofA).size).toBe(0);
});
