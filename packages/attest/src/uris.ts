// URIs are names: nothing is fetched from them. docs/attestations.md defines them.

const AUTHORITY = 'https://lkt.dev';

/** SLSA provenance `buildType` of a package's image. */
export const BUILD_TYPE: string = `${AUTHORITY}/build-types/package/v1`;

/** SLSA provenance `buildType` of a system image, made from configs and packages. */
export const IMAGE_BUILD_TYPE: string = `${AUTHORITY}/build-types/image/v1`;

/**
 * SLSA provenance `builder.id`: `lkt pkg build` on the signer's machine. The same for all machines.
 */
export const BUILDER_ID: string = `${AUTHORITY}/builders/local/v1`;

/** Prefix of SPDX document namespaces. */
export const SPDX_NAMESPACE: string = `${AUTHORITY}/spdx/`;

export const IN_TOTO_STATEMENT = 'https://in-toto.io/Statement/v1';
export const SLSA_PROVENANCE = 'https://slsa.dev/provenance/v1';

export const SPDX_JSON = 'application/spdx+json';
export const IN_TOTO_JSON = 'application/vnd.in-toto+json';

/** Annotation with the predicate type of a statement, as BuildKit writes it. */
export const PREDICATE_TYPE = 'in-toto.io/predicate-type';
