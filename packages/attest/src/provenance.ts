import { type Digest, digestSet } from '@lkt/core';
import { ENGINE_EPOCH, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { sortedUnique } from './sorted-unique.ts';
import {
  BUILD_TYPE,
  BUILDER_ID,
  IMAGE_BUILD_TYPE,
  IN_TOTO_STATEMENT,
  SLSA_PROVENANCE,
} from './uris.ts';

/**
 * The fields that lkt writes of a resource descriptor (in-toto attestation framework,
 * spec/v1/resource_descriptor.md).
 */
export interface ResourceDescriptor {
  readonly name?: string;
  readonly uri?: string;
  readonly digest?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/**
 * The parameters of a package build. With the resolved dependencies they are all that a rebuild
 * needs.
 */
export interface ExternalParameters {
  /** `org/image` */
  readonly package: string;
  /** Git tree hash of the package's directory, if it is committed; also the tag of the image. */
  readonly sourceHash?: string | undefined;
  /** `os/architecture`; all of them for an index. */
  readonly platforms: readonly string[];
  readonly dockerfile?: string | undefined;
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  /** Whether `RUN` had the host's network. */
  readonly network?: boolean | undefined;
  /** Ids of the secrets, without their values. */
  readonly secrets?: readonly string[] | undefined;
}

/** The parameters of a system image build. */
export interface ImageParameters {
  /** In merge order. */
  readonly configs: readonly string[];
  /** Values of the variables, from the configs or from `--set`. */
  readonly variables: Readonly<Record<string, string>>;
  readonly platform: string;
  readonly formats: readonly string[];
  readonly compressor?: string | undefined;
  readonly level?: number | undefined;
  /** Path of the SBOM in the image. */
  readonly sbomPath?: string | undefined;
  /** Format of that SBOM, if it is not SPDX. */
  readonly sbomFormat?: 'cyclonedx' | undefined;
  /** Minimum disk size in bytes. */
  readonly diskSize?: number | undefined;
  /** SHA-256 of the certificate that signs EFI programs. */
  readonly efiCertificate?: string | undefined;
}

interface ProvenanceInputs<Parameters> {
  readonly subjects: readonly { readonly name: string; readonly digest: Digest }[];
  readonly parameters: Parameters;
  readonly dependencies: readonly ResourceDescriptor[];
}

/** An in-toto Statement v1 with SLSA provenance v1 (slsa.dev/spec/v1.1/provenance). */
export interface ProvenanceStatement<Parameters = ExternalParameters> {
  readonly _type: string;
  readonly subject: readonly ResourceDescriptor[];
  readonly predicateType: string;
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string;
      readonly externalParameters: Parameters;
      readonly internalParameters: Readonly<Record<string, number | string | undefined>>;
      readonly resolvedDependencies: readonly ResourceDescriptor[];
    };
    readonly runDetails: { readonly builder: { readonly id: string } };
  };
}

/**
 * Returns the provenance of a package's images. It names neither the machine, the time nor the
 * engine: a rebuild of the same inputs produces the same bytes, which a second party can sign too.
 */
export function provenanceOf(inputs: ProvenanceInputs<ExternalParameters>): ProvenanceStatement {
  return statementOf(BUILD_TYPE, inputs);
}

/**
 * Returns the provenance of a system image.
 * @param compressor name and version of the compressor, which affects the bytes
 */
export function imageProvenanceOf(
  inputs: ProvenanceInputs<ImageParameters>,
  compressor: string | undefined,
): ProvenanceStatement<ImageParameters> {
  return statementOf(IMAGE_BUILD_TYPE, inputs, { compressor });
}

function statementOf<Parameters>(
  buildType: string,
  inputs: ProvenanceInputs<Parameters>,
  internal: { readonly compressor?: string | undefined } = {},
): ProvenanceStatement<Parameters> {
  return {
    _type: IN_TOTO_STATEMENT,
    subject: inputs.subjects.map(({ name, digest }) => ({
      name,
      digest: digestSet(digest),
    })),
    predicateType: SLSA_PROVENANCE,
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: inputs.parameters,
        internalParameters: {
          ...internal,
          engineEpoch: ENGINE_EPOCH,
          sourceDateEpoch: SOURCE_DATE_EPOCH,
        },
        resolvedDependencies: sortedUnique(inputs.dependencies),
      },
      runDetails: { builder: { id: BUILDER_ID } },
    },
  };
}
