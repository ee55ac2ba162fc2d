import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckReport } from '@lkt/rebuild';
import { type Digest, undefinedIf } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { writeFileAtomic } from '../write-file-atomic.ts';

/** Increase it when checks find differences that earlier ones did not. */
const CHECK_EPOCH = 1;

/**
 * Returns the check of an image. Stores it as `checks/<build key>` if the image is reproducible,
 * and reuses the stored check.
 * @param anew whether to ignore a stored check
 * @param everyStep whether a stored check must cover steps that do not reach the image
 */
export async function cachedCheck(
  store: Store,
  { key, image }: { readonly key: string; readonly image: Digest },
  { anew, everyStep }: { readonly anew: boolean; readonly everyStep: boolean },
  check: () => Promise<CheckReport>,
): Promise<CheckReport> {
  const path = join(store.dir, 'checks', `${key}.json`);
  const known = anew ? undefined : await read(path);
  const isEnough =
    known?.reproducible === true &&
    (!everyStep || known.differences.every(({ files }) => files.length > 0));
  if (isEnough && known.first === image) return known;
  const report = await check();
  if (!report.reproducible) return report;
  await mkdir(join(store.dir, 'checks'), { recursive: true });
  await writeFileAtomic(path, JSON.stringify({ epoch: CHECK_EPOCH, report }));
  return report;
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
