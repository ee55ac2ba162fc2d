import type { Digest } from '@lkt/core';
import { familiarReference, type Reference } from '@lkt/oci';
import { sourceReference, type Workspace } from '@lkt/pkg';
import { imageReferencesOf } from './config/config.ts';
import { locatedAsync } from './config/fields.ts';
import { type ConfigFile, loadConfig, type LoadOptions } from './config/load-config.ts';

/** An image reference with a newer version. */
export interface Outdated {
  readonly file: string;
  readonly line: number;
  readonly reference: string;
  /**
   * `source`: the package has other sources; `digest`: the tag moved; `tag`: there is a later tag.
   */
  readonly because: 'source' | 'digest' | 'tag';
  readonly now: string;
}

/** Queries to registries. */
export interface TagSource {
  readonly resolve: (reference: Reference) => Promise<Digest>;
  readonly tags: (repository: Reference) => Promise<readonly string[]>;
}

/**
 * Returns outdated references: packages of the workspace by their sources, external images by their
 * registries. Builds, pulls and writes nothing.
 * @param registries undefined to skip external images
 */
export async function outdated(
  workspace: Workspace,
  configs: readonly ConfigFile[],
  registries: TagSource | undefined,
  options: LoadOptions = {},
): Promise<readonly Outdated[]> {
  const found: Outdated[] = [];
  for (const config of configs) {
    const loaded = await loadConfig([config], options);
    for (const { text, reference, isLocked, at } of imageReferencesOf(loaded.config)) {
      if (reference === undefined) continue;
      const add = (because: Outdated['because'], now: string): void => {
        const { file, position } = at;
        found.push({ file: file.path, line: position.line, reference: text, because, now });
      };
      const item = workspace.find(reference);
      if (item !== undefined) {
        // The lock file has only a digest: nothing says of which sources.
        if (isLocked === true && reference.tag === undefined) continue;
        const now = await sourceReference(workspace, item);
        if (now !== undefined && familiarReference(withoutDigest(reference)) !== now)
          add('source', now);
        continue;
      }
      const { tag } = reference;
      if (registries === undefined || tag === undefined) continue;
      await locatedAsync(at, async () => {
        const digest = await registries.resolve(withoutDigest(reference));
        if (digest !== reference.digest)
          add('digest', `${familiarReference(withoutDigest(reference))}@${digest}`);
        const later = laterTag(tag, await registries.tags(withoutDigest(reference)));
        if (later !== undefined)
          add('tag', familiarReference({ ...withoutDigest(reference), tag: later }));
      });
    }
  }
  return found;
}

function withoutDigest({ digest: _digest, ...reference }: Reference): Reference {
  return reference;
}

/**
 * Returns the latest tag of the same form: `1.25.3-alpine` may become `1.27.0-alpine`, not `1.27`
 * or `1.27.0`. Ignores tags without numbers.
 */
export function laterTag(tag: string, tags: readonly string[]): string | undefined {
  const form = formOf(tag);
  if (form === undefined) return undefined;
  const later = tags
    .filter((other) => formOf(other) === form && compare(other, tag) > 0)
    .toSorted(compare);
  return later.at(-1);
}

/** Returns a version tag with its numbers replaced; undefined for other tags, such as hashes. */
function formOf(tag: string): string | undefined {
  return /^v?\d{1,9}(?:\.\d{1,9})*(?:-[a-z]+)?$/.test(tag)
    ? tag.replaceAll(/\d+/g, '0')
    : undefined;
}

function compare(a: string, b: string): number {
  const left = a.match(/\d+/g) ?? [];
  const right = b.match(/\d+/g) ?? [];
  for (const [index, text] of left.entries()) {
    const difference = Number(text) - Number(right[index] ?? '0');
    if (difference !== 0) return difference;
  }
  return 0;
}
