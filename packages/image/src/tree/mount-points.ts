import { type FileTree, type RawPath, toRaw } from '@lkt/oci';
import { DIRECTORIES } from './graft.ts';

/** Files of every root file system. */
const FILES: readonly RawPath[] = ['etc/hosts', 'etc/resolv.conf'];

/**
 * Reports whether an image has a mount point for each mount of a container. A runtime cannot create
 * missing ones on a read-only file system.
 * @param destinations absolute, in mount order
 */
export function hasMountPoints(
  { tree }: { readonly tree: FileTree },
  destinations: readonly string[],
): boolean {
  return destinations.every((destination, index) => {
    const path = toRaw(destination.replaceAll(/^\/+|\/+$/g, ''));
    return (
      path === '' ||
      DIRECTORIES.includes(path) ||
      FILES.includes(path) ||
      tree.lookup(path) !== undefined ||
      // Mount points below another mount are created in that.
      destinations.slice(0, index).some((above) => destination.startsWith(`${above}/`))
    );
  });
}
