import type { SourceFile } from '@lkt/core';
import { familiarReference } from '@lkt/oci';
import { type TextEdit, withPin, applyEdits } from '@lkt/pkg';
import { imageReferencesOf, type SystemConfig } from './config.ts';
import { errorAt } from './fields.ts';

/** An image config with its references brought up to date. */
export interface PinnedConfig {
  readonly text: string;
  readonly changes: readonly {
    readonly line: number;
    readonly from: string;
    readonly to: string;
  }[];
}

/** The names (`org/image`) of the packages that a config names with a tag or digest; `@pkg:` needs no pin. */
export function packageNames(config: SystemConfig): readonly string[] {
  const names = imageReferencesOf(config).flatMap(({ reference }) =>
    reference === undefined
      ? []
      : [familiarReference({ domain: reference.domain, path: reference.path })],
  );
  return [...new Set(names)];
}

/**
 * Writes tag and digest into every reference in one of the files; all else stays as it is, byte for byte.
 * @param pins `org/image:<source hash>@<digest>` by `org/image`
 * @param others the same for images that no package gives, by the reference as it is written
 * @throws LktError UNSUPPORTED for a reference that is made with variables
 */
export function pinConfig(
  file: SourceFile,
  config: SystemConfig,
  pins: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string> = new Map(),
): PinnedConfig {
  const edits: TextEdit[] = [];
  const changes: { line: number; from: string; to: string }[] = [];
  for (const { text: from, reference, at } of imageReferencesOf(config)) {
    if (at.file !== file || reference === undefined || at.range === undefined) continue;
    const { domain, path } = reference;
    const pin = pins.get(familiarReference({ domain, path }));
    const to = pin === undefined ? (others.get(from) ?? from) : withPin(from, pin);
    if (to === from) continue;
    // The value may be in quotes.
    const offset = file.text.indexOf(from, at.range[0]);
    if (offset === -1 || offset + from.length > at.range[1])
      throw errorAt('UNSUPPORTED', at, 'a reference with variables in it cannot be pinned', {
        fix: `write it out: ${to}`,
      });
    edits.push({ offset, length: from.length, replacement: to });
    changes.push({ line: at.position.line, from, to });
  }
  return { text: applyEdits(file.text, edits), changes };
}
