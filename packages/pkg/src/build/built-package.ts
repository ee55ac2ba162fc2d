import type { ActionInputs } from '../action-cache/record-action.ts';
import type { CheckReport } from '@lkt/rebuild';
import type { Descriptor } from '@lkt/oci';
import type { PackageAttestations } from '../attest/attest.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** A package with the image that its sources give. */
export interface BuiltPackage {
  readonly item: Package;
  readonly hash: SourceHash;
  /** Of the index of `images`, which is what a pin names. */
  readonly index: Descriptor;
  /** Of the manifests, one for each platform it was needed for, in the order of its `arches`. */
  readonly images: readonly Descriptor[];
  /** Those for other platforms that earlier builds of the same sources gave; the store has them under the same names. */
  readonly others: readonly Descriptor[];
  /** Full names under which the store has it. */
  readonly references: readonly string[];
  /** What its tags end in beside the hash: not empty when arguments were given that are not in build.yml. */
  readonly tagSuffix: string;
  /** Whether all of it had been built before. */
  readonly cached: boolean;
  /** Whether some of it was pulled by a pin, and not built here. Policies let it be used. */
  readonly pulled: boolean;
  /** SBOM and provenance of the index that has the names, and of each of `images`. */
  readonly attestations: PackageAttestations;
  /** For each of `images`, if a check was asked for. */
  readonly checks: readonly CheckReport[];
}

/** The result of building packages. */
export interface BuildReport {
  /** Targets and what they need, each after what it needs. */
  readonly packages: readonly BuiltPackage[];
  /** What the build read, for the action cache. */
  readonly inputs: ActionInputs;
}
