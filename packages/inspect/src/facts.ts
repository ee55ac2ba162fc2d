import type { EntryWithContent, RawPath } from '@lkt/oci';
import { type FileMap, readFileFacts } from '@lkt/formats';

/** Reads the files of an image, with the contents of its containers' specs. */
export async function readFacts(
  entries: AsyncIterable<EntryWithContent>,
  signal: AbortSignal | undefined,
): Promise<FileMap> {
  return readFileFacts(entries, { isKept: (path) => containerOf(path) !== undefined }, signal);
}

/** Returns the container of a spec file, such as `services/sshd`; undefined for other files. */
export function containerOf(path: RawPath): { container: string; file: string } | undefined {
  const found =
    /^containers\/((?:onboot|onshutdown|services)\/[^/]+)\/(config\.json|runtime\.json)$/.exec(
      path,
    );
  const [, container, file] = found ?? [];
  return container === undefined || file === undefined ? undefined : { container, file };
}

/** Returns the path in a container's own root file system for one in the image. */
export function pathInImage(path: string): string {
  return path.replace(
    /^\/containers\/(?:onboot|onshutdown|services)\/[^/]+\/(?:rootfs|lower)(?=\/)/,
    '',
  );
}
