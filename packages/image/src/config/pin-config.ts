import type { SourceFile } from '@lkt/core';
import { familiarReference } from '@lkt/oci';
import { type TextEdit, applyEdits } from '@lkt/pkg';
import { imageReferencesOf, type SystemConfig } from './config.ts';
import { errorAt } from './fields.ts';
import type { ImageReference } from './reference.ts';

/** An image config with updated references. */
export interface PinnedConfig {
  readonly text: string;
  readonly changes: readonly {
    readonly line: number;
    readonly from: string;
    readonly to: string;
  }[];
}

/** Returns the names (`org/image`) of the packages that a config names by reference. */
export function packageNames(config: SystemConfig): readonly string[] {
  const names = imageReferencesOf(config).flatMap(({ reference }) =>
    reference === undefined
      ? []
      : [familiarReference({ domain: reference.domain, path: reference.path })],
  );
  return [...new Set(names)];
}

/** Returns the text that a reference should have; undefined for one that stays. */
export type WantedReference = (image: ImageReference) => string | undefined;

/**
 * Writes tag and digest into every reference of a file and keeps all other bytes.
 * @param options `hasLock`: references without a digest stay, as a lock file has theirs
 * @throws LktError UNSUPPORTED for a reference that contains variables
 */
export function pinConfig(
  file: SourceFile,
  config: SystemConfig,
  wanted: WantedReference,
  { hasLock = false }: { readonly hasLock?: boolean } = {},
): PinnedConfig {
  const edits: TextEdit[] = [];
  const changes: { line: number; from: string; to: string }[] = [];
  for (const image of imageReferencesOf(config)) {
    const { text: from, reference, at } = image;
    if (at.file !== file || reference === undefined || at.range === undefined) continue;
    if (hasLock && !from.includes('@')) continue;
    const to = wanted(image);
    if (to === undefined || to === from) continue;
    // The value may be quoted.
    const offset = file.text.indexOf(from, at.range[0]);
    if (offset === -1 || offset + from.length > at.range[1])
      throw errorAt('UNSUPPORTED', at, 'a reference that contains variables cannot be pinned', {
        fix: `write it without variables: ${to}`,
      });
    edits.push({ offset, length: from.length, replacement: to });
    changes.push({ line: at.position.line, from, to });
  }
  return { text: applyEdits(file.text, edits), changes };
}
