import { type EntryToWrite, fromRaw, parentPath } from '@lkt/oci';
import type { SecretFinder } from './secret-finder.ts';

/** A secret in a layer. */
export interface Leak {
  readonly id: string;
  /** The location, for the user; never the secret itself. */
  readonly where: string;
}

/**
 * Returns the first secret in the entries of a layer: in a name, link target, attribute or content.
 */
export async function findLeak(
  entries: Iterable<EntryToWrite> | AsyncIterable<EntryToWrite>,
  finder: SecretFinder,
  signal: AbortSignal | undefined,
): Promise<Leak | undefined> {
  for await (const entry of entries) {
    signal?.throwIfAborted();
    const named = finder.find(Buffer.from(entry.path, 'latin1'));
    if (named !== undefined) {
      const directory = fromRaw(parentPath(entry.path));
      // A secret in the name of the directory was found earlier.
      return { id: named, where: `the name of a file in /${directory}` };
    }
    const path = `/${fromRaw(entry.path)}`;
    const linked = finder.find(Buffer.from(entry.link ?? '', 'latin1'));
    if (linked !== undefined) return { id: linked, where: `the target of the link ${path}` };
    for (const [name, value] of entry.xattrs ?? []) {
      const id = finder.find(Buffer.from(value)) ?? finder.find(Buffer.from(name, 'latin1'));
      if (id !== undefined) return { id, where: `an extended attribute of ${path}` };
    }
    const id = await findIn(entry, finder);
    if (id !== undefined) return { id, where: path };
  }
  return undefined;
}

async function findIn(entry: EntryToWrite, finder: SecretFinder): Promise<string | undefined> {
  let before: Buffer = Buffer.alloc(0);
  for await (const chunk of entry.content ?? []) {
    const bytes = Buffer.concat([before, chunk]);
    const id = finder.find(bytes);
    if (id !== undefined) return id;
    before = bytes.subarray(Math.max(0, bytes.length - finder.maxLength + 1));
  }
  return undefined;
}
