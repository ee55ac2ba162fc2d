import type { InodeEntry } from '@lkt/formats';
import type { CachedFile } from '../cache.ts';
import type { PackedContent } from './packed-files.ts';

/** One path of an image that is being composed. */
export interface TreeEntry extends InodeEntry {
  /** Of a file: what its contents call it. Files of a part that share it are hard links to one another. */
  readonly content?: string;
  /** Of a directory: that one which is there already keeps its owner and mode. */
  readonly isWeak?: boolean;
}

/** Where a part comes from, as LinuxKit's tar says it in PAX records. */
export interface Origin {
  /** The image in full, or `linuxkit.files` and the like. */
  readonly source: string;
  /** `init[0]`, `services[2]`. */
  readonly location: string;
}

/** What one image, or one section of the config, puts into the composed image. Paths appear once, parents first. */
export interface Part {
  readonly origin: Origin;
  /** For messages: `lkt/sshd:… (services[0])`. */
  readonly label: string;
  /** Whether its symbolic links stand in the root file system and lead what other parts put there. */
  readonly isRoot: boolean;
  /** Parts with the same name share a segment. */
  readonly segment: string;
  readonly entries: readonly TreeEntry[];
  readonly contents: Contents;
  /** The segment, where it is not made of the entries. */
  readonly archive?: CachedFile;
}

/** The contents of the files of a part. */
export interface Contents {
  /** Names the contents for a cache: equal keys stand for equal contents under equal names. */
  readonly key: string;
  /** The wanted contents in an order that depends on the key alone, each read before the next is asked for. */
  read(wanted: ReadonlySet<string>): AsyncIterable<Content>;
  /** The content as it is in the cache, if it was packed by itself. */
  packed?(name: string): PackedContent | undefined;
}

export interface Content {
  readonly name: string;
  readonly data: AsyncIterable<Uint8Array>;
}
