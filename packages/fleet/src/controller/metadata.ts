import type { GroupConfig } from '../config/fleet-yml.ts';

/** The values that metadata can name. */
export interface MetadataNames {
  /** Undefined where an engine names its nodes. */
  readonly name: string | undefined;
  readonly slot: number | undefined;
}

/**
 * Returns the metadata of a node as JSON, with `${NODE}`, `${GROUP}` and `${SLOT}` replaced in its
 * texts; undefined for a group without.
 * @throws LktError CONFIG_INVALID for another variable, or the slot of a node without one
 */
export function metadataOf(group: GroupConfig, node: MetadataNames): Uint8Array | undefined {
  const value = group.template?.metadata;
  if (value === undefined) return undefined;
  const names: ReadonlyMap<string, string | undefined> = new Map([
    ['NODE', node.name],
    ['GROUP', group.name],
    ['SLOT', node.slot?.toString()],
  ]);
  const replace = (text: string): string =>
    text.replaceAll(/\$\{([A-Za-z_]+)\}/g, (_, name: string) => {
      const found = names.get(name);
      if (found !== undefined) return found;
      throw value.error(`\${${name}} has no value here`, {
        fix: 'use ${GROUP}; ${NODE} where lkt names nodes, and ${SLOT} with volumes or named nodes',
      });
    });
  return Buffer.from(
    JSON.stringify(value.plain(), (_key, item: unknown) =>
      typeof item === 'string' ? replace(item) : item,
    ),
  );
}

/**
 * Checks the metadata of a group before any node is touched.
 * @throws LktError CONFIG_INVALID
 */
export function checkMetadata(group: GroupConfig, hasSlots: boolean): void {
  const bytes = metadataOf(group, { name: group.name, slot: hasSlots ? 0 : undefined });
  if (bytes !== undefined && bytes.length > MAX_BYTES)
    throw (group.template?.metadata ?? group.at).error('the metadata exceeds 64 KiB', {
      fix: 'put large files into the image',
    });
}

/** Clouds allow less: 16 KiB of user data. */
const MAX_BYTES = 64 * 1024;
