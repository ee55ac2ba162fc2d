import type { InodeEntry } from '@lkt/formats';
import { joinChunks } from '@lkt/oci';
import type { CachedFile } from '../cache.ts';
import type { PackedContent } from './packed-files.ts';

/** A path of an image that is being composed. */
export interface TreeEntry extends InodeEntry {
  /** Name of a file's content. Files of a part with equal names are hard links. */
  readonly content?: string;
  /** An existing directory keeps its owner and mode. */
  readonly isWeak?: boolean;
}

/** Origin of a part, as in the PAX records of LinuxKit's tar. */
export interface Origin {
  /** Full reference, or a name such as `linuxkit.files`. */
  readonly source: string;
  /** Such as `init[0]` or `services[2]`. */
  readonly location: string;
}

/** The entries from one image or one section of the config. Paths are unique, parents first. */
export interface Part {
  readonly origin: Origin;
  /** For messages: `lkt/sshd:… (services[0])`. */
  readonly label: string;
  /** Its symbolic links belong to the root file system and redirect entries of other parts. */
  readonly isRoot: boolean;
  /** Parts with equal names share a segment. */
  readonly segment: string;
  readonly entries: readonly TreeEntry[];
  readonly contents: Contents;
  /** The finished segment, if not made from the entries. */
  readonly archive?: CachedFile;
}

/** Contents of the files of a part. */
export interface Contents {
  /** Cache key: equal keys mean equal contents under equal names. */
  readonly key: string;
  /**
   * Yields wanted contents in an order determined by the key. Each must be read before the next.
   */
  read(wanted: ReadonlySet<string>): AsyncIterable<Content>;
  /** Returns the packed content from the cache, if it was packed by itself. */
  packed?(name: string): PackedContent | undefined;
}

export interface Content {
  readonly name: string;
  readonly data: AsyncIterable<Uint8Array>;
}

/** Returns one of the contents as latin1 text; empty if there is no such content. */
export async function contentText(contents: Contents, name: string): Promise<string> {
  let text = '';
  for await (const { data } of contents.read(new Set([name])))
    text = (await joinChunks(data)).toString('latin1');
  return text;
}
