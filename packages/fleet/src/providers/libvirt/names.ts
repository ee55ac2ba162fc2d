/** Prefix of volumes that stay. */
export const VOLUME = 'lkt-volume.';

/** Returns the name of a node's domain. */
export function domainName(fleet: string, name: string): string {
  return `lkt.${fleet}.${name}`;
}

/** Returns the name of the volume with a part of an image. */
export function imageVolume(id: string, part: string): string {
  return `lkt-image.${id}.${part}`;
}

/** Returns the name of a volume that ends with its node. */
export function nodeVolume(fleet: string, name: string, part: string): string {
  return `lkt-node.${fleet}.${name}.${part}`;
}
