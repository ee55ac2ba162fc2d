// Names, not addresses: nothing is fetched from them. docs/attestations.md says what they stand for.

const AUTHORITY = 'https://lkt.dev';

/** SLSA provenance, `buildType`: how a package became an image. */
export const BUILD_TYPE: string = `${AUTHORITY}/build-types/package/v1`;

/** SLSA provenance, `buildType`: how configs and packages became the image of a system. */
export const IMAGE_BUILD_TYPE: string = `${AUTHORITY}/build-types/image/v1`;

/** SLSA provenance, `builder.id`: `lkt pkg build` on a machine of whoever signs. One for all, so that it says no more. */
export const BUILDER_ID: string = `${AUTHORITY}/builders/local/v1`;

/** Start of the names of SPDX documents. */
export const SPDX_NAMESPACE: string = `${AUTHORITY}/spdx/`;

export const IN_TOTO_STATEMENT = 'https://in-toto.io/Statement/v1';
export const SLSA_PROVENANCE = 'https://slsa.dev/provenance/v1';

export const SPDX_JSON = 'application/spdx+json';
export const IN_TOTO_JSON = 'application/vnd.in-toto+json';

/** Annotation that says what a statement is of, as BuildKit writes it. */
export const PREDICATE_TYPE = 'in-toto.io/predicate-type';
