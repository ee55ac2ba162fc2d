import { REBUILD_PREDICATE, rebuildProblem } from '../statement/rebuild.ts';
import { SIGNATURE_PREDICATE, SPDX_PREDICATE } from '../statement/statement.ts';

const PROVENANCE_PREDICATE = 'https://slsa.dev/provenance/v1';

const NAMES: Readonly<Record<string, string>> = {
  [SIGNATURE_PREDICATE]: 'signature',
  [PROVENANCE_PREDICATE]: 'provenance',
  [REBUILD_PREDICATE]: 'rebuild',
  [SPDX_PREDICATE]: 'SBOM',
};

/** Returns a short name for a predicate type that lkt writes, otherwise the type itself. */
export function describePredicate(type: string): string {
  return NAMES[type] ?? type;
}

/**
 * Returns why a predicate contradicts the image's name, regardless of its signer. Undefined if it
 * does not, or if lkt does not know the predicate type.
 */
export function predicateProblem(
  { predicateType, predicate }: { readonly predicateType: string; readonly predicate: unknown },
  image: { readonly path: string; readonly tag?: string },
): string | undefined {
  switch (predicateType) {
    case REBUILD_PREDICATE:
      return rebuildProblem(predicate, image);
    case PROVENANCE_PREDICATE:
      return provenanceProblem(predicate, image);
    case SPDX_PREDICATE:
      return typeof field(predicate, 'spdxVersion') === 'string'
        ? undefined
        : 'the signed statement is not an SPDX document';
    default:
      return undefined;
  }
}

function provenanceProblem(predicate: unknown, { tag }: { readonly tag?: string }) {
  const definition = field(predicate, 'buildDefinition');
  if (typeof field(definition, 'buildType') !== 'string')
    return 'the signed statement is not SLSA provenance';
  const source = field(field(definition, 'externalParameters'), 'sourceHash');
  // A tag that is not a hash names no source, and other builders' provenance has no source hash.
  if (typeof source !== 'string' || tag === undefined || !/^[0-9a-f]{40}$/.test(tag))
    return undefined;
  return source === tag
    ? undefined
    : `the provenance is of source ${source}, but the image has the tag ${tag}`;
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}
