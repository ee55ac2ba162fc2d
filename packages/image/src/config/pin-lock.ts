import { familiarReference } from '@lkt/oci';
import { imageReferencesOf, type SystemConfig } from './config.ts';
import { errorAt } from './fields.ts';
import type { ConfigFile, LoadedConfig } from './load-config.ts';
import { formatLock, type LockFile, lockPathOf } from './lock.ts';
import type { WantedReference } from './pin-config.ts';

/** An updated lock file. */
export interface PinnedLock {
  readonly before: LockFile | undefined;
  readonly after: LockFile;
  /** `from` is empty for a new entry, `to` for a removed one. */
  readonly changes: readonly {
    readonly line: number;
    readonly from: string;
    readonly to: string;
  }[];
}

/**
 * Returns the lock file of a config with the digest of every reference that has none itself, and no
 * other entries; undefined if it is current.
 * @throws LktError PIN_STALE for a package whose tag is not of its current sources
 */
export function pinLock(
  file: ConfigFile,
  config: SystemConfig,
  { locks, hasVariables }: Pick<LoadedConfig, 'locks' | 'hasVariables'>,
  wanted: WantedReference,
): PinnedLock | undefined {
  const lock = locks.get(file);
  const old = new Map<string, string>(
    [...(lock?.digests ?? [])].map(([name, { digest }]) => [name, digest]),
  );
  // Other values of variables need other entries.
  const digests = hasVariables(file) ? new Map(old) : new Map<string, string>();
  for (const image of imageReferencesOf(config)) {
    const { text, reference, at } = image;
    if (at.file !== file || reference === undefined || text.includes('@')) continue;
    const { domain, path, tag } = reference;
    const [current = '', pinned] = wanted(image)?.split('@') ?? [];
    if (pinned !== undefined && tag !== undefined && current !== text) {
      const name = familiarReference({ domain, path });
      throw errorAt('PIN_STALE', at, `the tag is not of the current sources of ${name}`, {
        fix: `write ${current}, or ${name} without a tag`,
      });
    }
    const digest = pinned ?? reference.digest;
    if (digest !== undefined) digests.set(text, digest);
  }
  const path = lockPathOf(file.path);
  const text = formatLock(file.path, digests);
  const lines = text.split('\n');
  const changes = [...new Set([...old.keys(), ...digests.keys()])].toSorted().flatMap((name) => {
    const [from, to] = [old.get(name), digests.get(name)];
    if (from === to) return [];
    const line =
      to === undefined
        ? (lock?.digests.get(name)?.at.position.line ?? 1)
        : lines.findIndex((one) => one.endsWith(`: ${to}`) && one.includes(name)) + 1;
    const [before, after] = [from, to].map((digest) =>
      digest === undefined ? '' : `${name}@${digest}`,
    );
    return [{ line, from: before ?? '', to: after ?? '' }];
  });
  if (changes.length === 0) return undefined;
  const after = { path, absolute: lockPathOf(file.absolute), text };
  return { before: lock?.file, after, changes };
}
