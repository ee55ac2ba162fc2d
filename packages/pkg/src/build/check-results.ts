import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckReport } from '@lkt/rebuild';
import { type Digest, undefinedIf } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { writeFileAtomic } from '../write-file-atomic.ts';

/** Increase it when checks find differences that earlier ones did not. */
const CHECK_EPOCH = 1;

/**
 * Returns the stored check of an image; undefined if there is none.
 * @param everyStep whether the check must cover steps that do not reach the image
 */
export async function readCheck(
  store: Store,
  key: string,
  image: Digest,
  everyStep: boolean,
): Promise<CheckReport | undefined> {
  const known = await read(checkPath(store, key));
  if (known?.first !== image || !known.reproducible) return undefined;
  const isEnough = !everyStep || known.differences.every(({ files }) => files.length > 0);
  return isEnough ? known : undefined;
}

/** Stores the check of a reproducible image as `checks/<build key>`. */
export async function writeCheck(store: Store, key: string, report: CheckReport): Promise<void> {
  if (!report.reproducible) return;
  await mkdir(join(store.dir, 'checks'), { recursive: true });
  await writeFileAtomic(checkPath(store, key), JSON.stringify({ epoch: CHECK_EPOCH, report }));
}

function checkPath(store: Store, key: string): string {
  return join(store.dir, 'checks', `${key}.json`);
}

async function read(path: string): Promise<CheckReport | undefined> {
  const text = (await readFile(path, 'utf8').catch(undefinedIf('ENOENT'))) ?? '';
  try {
    const { epoch, report } = JSON.parse(text) as { epoch?: unknown; report?: CheckReport };
    return epoch === CHECK_EPOCH ? report : undefined;
  } catch {
    // A crash may truncate the file; a new check replaces it.
    return undefined;
  }
}
