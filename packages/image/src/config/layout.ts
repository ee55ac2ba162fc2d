import { choice, type YamlType, type YamlValue } from '@lkt/core';

/** How the files of an image are in an initrd: to be unpacked, or in file systems that are mounted as they are. */
export interface Layout {
  readonly kind: 'cpio' | 'erofs';
  readonly at: YamlValue;
}

export const LAYOUT: YamlType<Layout> = choice('cpio', 'erofs').into((kind, at) => ({ kind, at }));
