import { LktError } from '@lkt/core';
import type { Descriptor } from './descriptor.ts';
import { REF_NAME } from './layout-index.ts';
import { formatReference, parseReference } from './reference.ts';

/** Where containerd, and with it Docker and BuildKit, writes the name of an image in a layout. */
export const CONTAINERD_NAME = 'io.containerd.image.name';

/**
 * The full name of an entry of a layout: containerd's, or `ref.name` where that is one. Programs such as skopeo write a tag
 * alone there, which names nothing.
 */
export function entryName({ annotations }: Descriptor): string | undefined {
  const given = annotations?.[CONTAINERD_NAME] ?? annotations?.[REF_NAME];
  return given === undefined || !/[/:@]/.test(given) ? undefined : fullName(given);
}

/** The form that a store keys by, with a tag if there is no digest. Undefined for what is no reference. */
export function fullName(text: string): string | undefined {
  try {
    const { domain, path, tag = 'latest', digest } = parseReference(text);
    return formatReference(digest === undefined ? { domain, path, tag } : { domain, path, digest });
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  }
}
