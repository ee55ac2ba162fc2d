import { LktError } from '@lkt/core';
import type { Descriptor } from '../image/descriptor.ts';
import { REF_NAME } from '../store/layout-index.ts';
import { formatReference, parseReference } from '../image/reference.ts';

/** An image of an archive. */
export interface ArchiveEntry {
  readonly descriptor: Descriptor;
  /** The full reference, if the archive has one. */
  readonly name: string | undefined;
}

/** The annotation in which containerd, Docker and BuildKit store an image's name in a layout. */
export const CONTAINERD_NAME = 'io.containerd.image.name';

/**
 * Returns the full reference of a layout entry: containerd's annotation, else `ref.name` if that is
 * a reference. skopeo writes a bare tag into `ref.name`, which identifies no image.
 */
export function entryName({ annotations }: Descriptor): string | undefined {
  const given = annotations?.[CONTAINERD_NAME] ?? annotations?.[REF_NAME];
  return given === undefined || !/[/:@]/.test(given) ? undefined : fullName(given);
}

/**
 * Returns the form of a reference that a store uses as its key, with the tag `latest` if it has
 * neither tag nor digest; undefined if `text` is not a reference.
 */
export function fullName(text: string): string | undefined {
  try {
    const { domain, path, tag = 'latest', digest } = parseReference(text);
    return formatReference(digest === undefined ? { domain, path, tag } : { domain, path, digest });
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  }
}
