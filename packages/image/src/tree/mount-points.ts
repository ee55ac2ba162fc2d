import { type FileTree, type RawPath, toRaw } from '@lkt/oci';
import { DIRECTORIES } from './graft.ts';

/** What every root file system has beside its directories. */
const FILES: readonly RawPath[] = ['etc/hosts', 'etc/resolv.conf'];

/**
 * Whether an image has a place for each mount of a container. A runtime makes those that are missing, which it cannot where
 * the root is a file system that nobody can write.
 * @param destinations absolute, in the order in which they are mounted
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
      // What is below another mount is made in that.
      destinations.slice(0, index).some((above) => destination.startsWith(`${above}/`))
    );
  });
}
