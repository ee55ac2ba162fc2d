import type { SpdxDocument } from '@lkt/attest';
import type { Digest } from '@lkt/core';
import type { FileMap } from '@lkt/formats';
import type { NamedDigest } from './documents.ts';

/** An output file of a build, compared with its digest in the provenance. */
export interface OutputState {
  readonly name: string;
  /** `there` if the provenance does not list the file. */
  readonly state: 'as built' | 'changed' | 'missing' | 'there';
  readonly size?: number;
  readonly digest?: Digest;
}

/** An image that another image contains. */
export interface UsedImage {
  /** Familiar reference without digest, such as `alpine:3.22`. */
  readonly name: string;
  /** Undefined for a package named by its directory that is not in the store. */
  readonly digest?: Digest;
  /** Reason why the build accepted the image. */
  readonly because?: string;
  /** Parts of the config that name the image, such as `services sshd`. */
  readonly places?: readonly string[];
}

/**
 * A document beside an image in the store. Not verified: anyone who may write to a registry can
 * attach one.
 */
export interface ImageDocument {
  readonly kind: 'provenance' | 'SBOM';
  /** Digest of the referrer. */
  readonly digest: Digest;
  /** Why it cannot be read. */
  readonly problem?: string;
  /** Parameters and inputs that a provenance states. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly inputs?: readonly NamedDigest[];
}

/**
 * An image to show or to compare: outputs of a build, the expected result of a config, or an image
 * in the store.
 */
export interface ImageView {
  readonly kind: 'build' | 'config' | 'image';
  readonly name: string;
  /** Digest of an image in the store. */
  readonly digest?: Digest;
  readonly outputs: readonly OutputState[];
  /**
   * Parameters of the build, such as formats, variables and compressor; for an image in the store
   * also its platform. Of several provenances, the first by digest counts; `documents` has all.
   */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly cmdline?: string;
  readonly images: readonly UsedImage[];
  /**
   * Configs and local files that the image was built from; for an image in the store, the inputs of
   * its build.
   */
  readonly inputs: readonly NamedDigest[];
  /** The whole config as plain data. */
  readonly config?: unknown;
  /** Merged from all SBOMs that can be read. */
  readonly sbom?: SpdxDocument;
  /** All SBOMs and provenances beside an image in the store, by digest. */
  readonly documents?: readonly ImageDocument[];
  /** Reads the files of the image; undefined if lkt cannot read their format. */
  readonly files?: (signal?: AbortSignal) => Promise<FileMap>;
}
