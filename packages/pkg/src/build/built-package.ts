import type { PackageInputs } from '../action-cache/record-packages.ts';
import type { CheckReport } from '@lkt/rebuild';
import type { Descriptor } from '@lkt/oci';
import type { PackageAttestations } from '../attest/attestations.ts';
import type { StoredPackage } from './stored-package.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** A package with the images built from its sources. */
export interface BuiltPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  /**
   * The hashes that were read for it, on all platforms: its own, and those of the packages that it
   * names. Undefined if one of them has an error.
   */
  readonly hashes: ReadonlyMap<Package, SourceHash> | undefined;
  /** The packages whose images were built for it. */
  readonly uses: readonly Package[];
  /** Descriptor of the index of `images`; pins name its digest. */
  readonly index: Descriptor;
  /** Manifests, one per platform, in the order of `arches`. */
  readonly images: readonly Descriptor[];
  /**
   * Manifests for other platforms that earlier builds of the same sources added to the stored
   * index.
   */
  readonly others: readonly Descriptor[];
  /** Full names in the store. */
  readonly references: readonly string[];
  /** Suffix of the tags after the hash; empty unless arguments outside build.yml were used. */
  readonly tagSuffix: string;
  /** Whether all images came from the store. */
  readonly cached: boolean;
  /** Whether an image was pulled by its pin instead of built. */
  readonly pulled: boolean;
  /** SBOM and provenance of the tagged index and of each of `images`, unless none were wanted. */
  readonly attestations: PackageAttestations | undefined;
  readonly stored: StoredPackage;
  /** One per image, if a check was requested. */
  readonly checks: readonly CheckReport[];
}

/** The result of building packages. */
export interface BuildReport {
  /** The targets and their dependencies, each after its own dependencies. */
  readonly packages: readonly BuiltPackage[];
  /** The inputs that the build read, for the action cache. */
  readonly inputs: PackageInputs;
}
