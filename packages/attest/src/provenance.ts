import { canonicalJson, type Digest, digestHex } from '@lkt/core';
import { ENGINE_EPOCH, SOURCE_DATE_EPOCH } from '@lkt/oci';
import {
  BUILD_TYPE,
  BUILDER_ID,
  IMAGE_BUILD_TYPE,
  IN_TOTO_STATEMENT,
  SLSA_PROVENANCE,
} from './uris.ts';

/** in-toto attestation framework, spec/v1/resource_descriptor.md: what lkt writes of it. */
export interface ResourceDescriptor {
  readonly name?: string;
  readonly uri?: string;
  readonly digest?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/** What was asked for: whoever builds it again needs these, and the resolved dependencies, and nothing else. */
export interface ExternalParameters {
  /** `org/image` */
  readonly package: string;
  /** The git tree hash of the package's directory once it is committed, which is its tag. */
  readonly sourceHash?: string | undefined;
  /** `os/architecture`; of the index all of them. */
  readonly platforms: readonly string[];
  readonly dockerfile?: string | undefined;
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  /** Whether RUN had the network of the host. */
  readonly network?: boolean | undefined;
  /** Ids of secrets: what they were is not said. */
  readonly secrets?: readonly string[] | undefined;
}

/** The same, of the image of a system. */
export interface ImageParameters {
  /** In the order in which they were merged. */
  readonly configs: readonly string[];
  /** What each variable stood for, said by the configs or by `--set`. */
  readonly variables: Readonly<Record<string, string>>;
  readonly platform: string;
  readonly formats: readonly string[];
  readonly compressor?: string | undefined;
  readonly level?: number | undefined;
  /** Where the SBOM is in the image. */
  readonly sbomPath?: string | undefined;
  /** How large a disk is at least, in bytes. */
  readonly diskSize?: number | undefined;
  /** sha256 of the certificate of whoever signs EFI programs. */
  readonly efiCertificate?: string | undefined;
}

interface ProvenanceInputs<Parameters> {
  readonly subjects: readonly { readonly name: string; readonly digest: Digest }[];
  readonly parameters: Parameters;
  readonly dependencies: readonly ResourceDescriptor[];
}

/** in-toto Statement v1 with SLSA provenance v1 (slsa.dev/spec/v1.1/provenance). */
export interface ProvenanceStatement<Parameters = ExternalParameters> {
  readonly _type: string;
  readonly subject: readonly ResourceDescriptor[];
  readonly predicateType: string;
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string;
      readonly externalParameters: Parameters;
      readonly internalParameters: Readonly<Record<string, number | string>>;
      readonly resolvedDependencies: readonly ResourceDescriptor[];
    };
    readonly runDetails: { readonly builder: { readonly id: string } };
  };
}

/**
 * Says how images came about. Nothing of the machine, the time or the engine is in it: who builds the same again gets
 * the same bytes, and can sign them too.
 */
export function provenanceOf(inputs: ProvenanceInputs<ExternalParameters>): ProvenanceStatement {
  return statementOf(BUILD_TYPE, inputs);
}

/**
 * The same of the image of a system.
 * @param compressor the compressor with its version, on which bytes depend
 */
export function imageProvenanceOf(
  inputs: ProvenanceInputs<ImageParameters>,
  compressor: string | undefined,
): ProvenanceStatement<ImageParameters> {
  return statementOf(IMAGE_BUILD_TYPE, inputs, compressor === undefined ? {} : { compressor });
}

function statementOf<Parameters>(
  buildType: string,
  inputs: ProvenanceInputs<Parameters>,
  internal: Readonly<Record<string, string>> = {},
): ProvenanceStatement<Parameters> {
  const dependencies = new Map(inputs.dependencies.map((item) => [canonicalJson(item), item]));
  return {
    _type: IN_TOTO_STATEMENT,
    subject: inputs.subjects.map(({ name, digest }) => ({
      name,
      digest: { sha256: digestHex(digest) },
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
        resolvedDependencies: [...dependencies]
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([, item]) => item),
      },
      runDetails: { builder: { id: BUILDER_ID } },
    },
  };
}
