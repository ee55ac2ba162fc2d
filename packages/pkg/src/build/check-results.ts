import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckReport } from '@lkt/rebuild';
import { type Digest, isErrno } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { writeFileWhole } from '../write-file.ts';

/** Raised when a check finds what an earlier one did not. */
const CHECK_EPOCH = 1;

/**
 * The check of an image, made once: one that found it reproducible is in the store, at `checks/<key of the build>`.
 * @param anew makes it although there is one
 * @param everyStep whether one will not do that has not looked into what does not reach the image
 */
export async function rememberedCheck(
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
  await writeFileWhole(path, JSON.stringify({ epoch: CHECK_EPOCH, report }));
  return report;
}

async function read(path: string): Promise<CheckReport | undefined> {
  try {
    const { epoch, report } = JSON.parse(await readFile(path, 'utf8')) as {
      epoch?: unknown;
      report?: CheckReport;
    };
    return epoch === CHECK_EPOCH ? report : undefined;
  } catch (error) {
    // Cut off by a crash, which a new check mends.
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
