import type { SpdxDocument } from '@lkt/attest';
import type { Digest } from '@lkt/core';
import type { FileMap } from '@lkt/formats';
import type { NamedDigest } from './documents.ts';

/** A file of a build, compared with what its provenance says of it. */
export interface OutputState {
  readonly name: string;
  /** Nothing is said of one that has no provenance beside it: it is `there`. */
  readonly state: 'as built' | 'changed' | 'missing' | 'there';
  readonly size?: number;
  readonly digest?: Digest;
}

/** An image that is in another one. */
export interface UsedImage {
  /** As people write it, without digest. */
  readonly name: string;
  /** Unknown of a package that is named by its directory and is not in the store. */
  readonly digest?: Digest;
  /** Why it was accepted when the image was built. */
  readonly because?: string;
  /** Where a config names it: `services sshd`. */
  readonly places?: readonly string[];
}

/** What is known of an image: what was built, what is to be built from a config, or what a store has. */
export interface ImageView {
  readonly kind: 'build' | 'config' | 'image';
  readonly name: string;
  /** Of an image of the store, its own. */
  readonly digest?: Digest;
  readonly outputs: readonly OutputState[];
  /** What was asked for: formats, variables, compressor; of an image of the store what its sources are. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly cmdline?: string;
  readonly images: readonly UsedImage[];
  /** Other things that it was made from. */
  readonly inputs: readonly NamedDigest[];
  /** The config in full, as plain data. */
  readonly config?: unknown;
  readonly sbom?: SpdxDocument;
  /** Its files; undefined where they are in a form that is not read. */
  readonly files?: (signal?: AbortSignal) => Promise<FileMap>;
}
