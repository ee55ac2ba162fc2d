import { readTar, type Store } from '@lkt/oci';
import type { LockedPackage } from '../lock/lock.ts';
import { compareVersions, withoutRebuild } from '../lock/version.ts';
import { debTar } from './deb.ts';
import { unpack } from './unpack.ts';
import { findXzDecoder } from './xz.ts';

/** Bytes; the longest changelogs of the archive have about 20 MB. */
const MAX_CHANGELOG_BYTES = 64 * 1024 ** 2;

/**
 * Returns the vulnerabilities that the changelog of a .deb names in the entries after a version of
 * the package, sorted. Undefined if the .deb has no changelog: it may be in another package of the
 * same source (Debian policy §12.7).
 * @param item a binary package, which the store must have
 * @throws NOT_FOUND, ARCHIVE_INVALID, DIGEST_MISMATCH
 */
export async function namedVulnerabilities(
  item: LockedPackage,
  after: string,
  store: Store,
): Promise<readonly string[] | undefined> {
  const text = await changelogOf(item, store);
  return text === undefined ? undefined : vulnerabilitiesAfter(text, item.version, after);
}

async function changelogOf(item: LockedPackage, store: Store): Promise<string | undefined> {
  const decoder = await findXzDecoder();
  const what = `${item.name} ${item.version}`;
  const dir = `usr/share/doc/${item.name}/`;
  let found: string | undefined;
  // To its end, where the digest of the .deb is verified.
  for await (const { path, content } of readTar(debTar(store.read(item), { what, decoder }))) {
    const isChangelog =
      path === `${dir}changelog.Debian.gz` ||
      // A package without separate upstream names it so (Debian policy §12.7).
      (path === `${dir}changelog.gz` && found === undefined);
    if (!isChangelog || content === undefined) continue;
    const packed = { content, size: 0, what: `${what} changelog`, limit: MAX_CHANGELOG_BYTES };
    found = Buffer.concat(await Array.fromAsync(unpack('.gz', packed))).toString();
  }
  return found;
}

/**
 * Reads entries, the newest first (deb-changelog(5)), down to the version `after`. Only the newest
 * counts if the versions of the binary package are not those of its source.
 */
export function vulnerabilitiesAfter(
  text: string,
  version: string,
  after: string,
): readonly string[] {
  const entries = text.split(/^(?=[a-z0-9][a-z0-9+.-]* \([^()\s]+\) )/im).flatMap((entry) => {
    const [, entryVersion] = /^\S+ \(([^()\s]+)\) /.exec(entry) ?? [];
    return entryVersion === undefined ? [] : [{ version: withoutRebuild(entryVersion), entry }];
  });
  const isOwn = entries[0]?.version === withoutRebuild(version);
  const end = isOwn
    ? entries.findIndex((one) => compareVersions(one.version, withoutRebuild(after)) <= 0)
    : 1;
  const newer = entries.slice(0, end === -1 ? undefined : end);
  const ids = newer.flatMap(({ entry }) => entry.match(/\bCVE-\d{4}-\d{4,7}\b/g) ?? []);
  return [...new Set(ids)].toSorted();
}
