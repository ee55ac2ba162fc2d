import { choice, type YamlType, type YamlValue } from '@lkt/core';

/**
 * How the files of an image are in an initrd: to be unpacked, in an archive for each image or in a single one, or in file
 * systems that are mounted as they are.
 */
export interface Layout {
  readonly kind: 'cpio' | 'solid' | 'erofs';
  readonly at: YamlValue;
}

export const LAYOUT: YamlType<Layout> = choice('cpio', 'solid', 'erofs').transform((kind, at) => ({
  kind,
  at,
}));
