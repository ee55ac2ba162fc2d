import type { Descriptor, Platform } from '@lkt/oci';
import type { KeyedInputs } from '../build/plan-image.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** The attestations of an image; each descriptor describes a referrer's manifest. */
export interface Attestations {
  readonly sbom: Descriptor;
  readonly provenance: Descriptor;
}

/** An image of a package for one platform, with the inputs of its build. */
export interface AttestedImage extends KeyedInputs {
  readonly descriptor: Descriptor;
  /**
   * Set once the image is attested. The store may have more SBOMs, of other builds of the same
   * image.
   */
  readonly sbom?: Descriptor;
}

/** An image in the index of a package that this build has not built. */
export type OtherImage = Descriptor & { readonly platform: Platform };

export interface AttestedPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  readonly images: readonly AttestedImage[];
  /** Images for other platforms in the same index. They were attested when they were built. */
  readonly others: readonly OtherImage[];
  readonly index: Descriptor;
  /**
   * Names of packages whose images were taken from the store or a registry: what is known of their
   * files is less than after a build.
   */
  readonly taken: readonly string[];
}

/** The attestations of an index and of the images that were built for it. */
export interface PackageAttestations {
  readonly index: Attestations;
  readonly images: readonly Attestations[];
}
