import { choice, type YamlType, type YamlValue } from '@lkt/core';

/**
 * How an initrd holds the files of an image: `cpio` is an archive per image, `solid` a single
 * archive, `erofs` mounted file systems.
 */
export interface Layout {
  readonly kind: 'cpio' | 'solid' | 'erofs';
  readonly at: YamlValue;
}

export const LAYOUT: YamlType<Layout> = choice('cpio', 'solid', 'erofs').transform((kind, at) => ({
  kind,
  at,
}));
