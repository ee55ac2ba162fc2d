import { REBUILD_PREDICATE, rebuildProblem } from '../statement/rebuild.ts';
import { SIGNATURE_PREDICATE, SPDX_PREDICATE } from '../statement/statement.ts';

const PROVENANCE_PREDICATE = 'https://slsa.dev/provenance/v1';

const NAMES: Readonly<Record<string, string>> = {
  [SIGNATURE_PREDICATE]: 'signature',
  [PROVENANCE_PREDICATE]: 'provenance',
  [REBUILD_PREDICATE]: 'rebuild',
  [SPDX_PREDICATE]: 'SBOM',
};

/** What a statement is, for people: one word for those that lkt writes, else the type itself. */
export function describePredicate(type: string): string {
  return NAMES[type] ?? type;
}

/**
 * Why what is said cannot be true of an image as it is named, whoever signed it; undefined if it can be, or if nothing is
 * known of such statements.
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
        : 'what is signed is no SPDX document';
    default:
      return undefined;
  }
}

function provenanceProblem(predicate: unknown, { tag }: { readonly tag?: string }) {
  const definition = field(predicate, 'buildDefinition');
  if (typeof field(definition, 'buildType') !== 'string')
    return 'what is signed is no provenance of SLSA';
  const source = field(field(definition, 'externalParameters'), 'sourceHash');
  // Tags that are not hashes say nothing of a source, and neither does the provenance of others.
  if (typeof source !== 'string' || tag === undefined || !/^[0-9a-f]{40}$/.test(tag))
    return undefined;
  return source === tag
    ? undefined
    : `the provenance is of the source ${source}, and the image is named ${tag}`;
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}
