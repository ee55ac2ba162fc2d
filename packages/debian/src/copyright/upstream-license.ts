import { LktError } from '@lkt/core';
import { fromRaw, readTar } from '@lkt/oci';
import { type Packed, unpack } from '../deb/unpack.ts';
import { licenseOfTexts } from './copyright-file.ts';
import type { PackageLicense } from './license.ts';

/** Bytes of a tarball that are searched. The files are near its start, or it is short. */
const MAX_SEARCHED_BYTES = 64 * 1024 ** 2;
/** Bytes. The longest common licence has 35,000. */
const MAX_LICENSE_BYTES = 1024 ** 2;

/**
 * Returns the licence in an upstream tarball: that of its files such as `COPYING`, in the top
 * directory. Debian's copyright file is not part of it.
 * @returns undefined without such a file, and for a tarball that cannot be read
 */
export async function upstreamLicense(
  packed: Omit<Packed, 'limit'>,
): Promise<PackageLicense | undefined> {
  const texts: string[] = [];
  const ending = /\.[a-z0-9]+$/.exec(packed.what)?.[0] ?? '';
  let searched = 0;
  try {
    const tar = unpack(ending, { ...packed, limit: Infinity });
    for await (const { path, type, size, content } of readTar(tar)) {
      searched += size;
      if (searched > MAX_SEARCHED_BYTES) break;
      if (type !== 'file' || content === undefined || size > MAX_LICENSE_BYTES) continue;
      if (!/^(?:\.\/)?[^/]+\/(?:COPYING|LICEN[CS]E)[^/]*$/i.test(fromRaw(path))) continue;
      texts.push(Buffer.concat(await Array.fromAsync(content)).toString());
    }
  } catch (error) {
    if (error instanceof LktError && ['ARCHIVE_INVALID', 'UNSUPPORTED'].includes(error.code))
      return undefined;
    throw error;
  }
  return licenseOfTexts(texts);
}
