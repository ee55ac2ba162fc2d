import { LktError } from '@lkt/core';
import { isVersion, type Relation, satisfies } from './version.ts';

/** One package of a dependency: `libc6 (>= 2.36)`, `python3:any`. */
export interface Alternative {
  readonly name: string;
  /** What stands after the colon: `any`, `native` or an architecture. */
  readonly qualifier?: string;
  readonly relation?: Relation;
  readonly version?: string;
}

/** Alternatives, any of which will do: `debconf | debconf-2.0`. */
export type Clause = readonly Alternative[];

/**
 * Reads a field such as Depends (Debian policy §7.1): clauses by comma, alternatives by `|`.
 * Architecture lists and build profiles belong to source packages and are refused.
 * @throws LktError ARCHIVE_INVALID
 */
export function parseRelations(field: string): Clause[] {
  return field
    .split(',')
    .map((clause) => clause.trim())
    .filter((clause) => clause !== '') // a comma at the end is tolerated, as dpkg does
    .map((clause) => clause.split('|').map(parseAlternative));
}

const ALTERNATIVE =
  /^\s*([A-Za-z0-9][A-Za-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()]+)\s*\))?\s*$/;

/** @throws LktError ARCHIVE_INVALID */
export function parseAlternative(text: string): Alternative {
  const match = ALTERNATIVE.exec(text);
  const [, name, qualifier, sign, version] = match ?? [];
  if (name === undefined || (version !== undefined && !isVersion(version)))
    throw new LktError('ARCHIVE_INVALID', `"${text.trim()}" is not a relation between packages`);
  return {
    name,
    qualifier,
    ...(sign === undefined || version === undefined ? {} : { relation: relation(sign), version }),
  };
}

/** `<` and `>` are obsolete spellings of `<=` and `>=` (policy §7.1). */
function relation(sign: string): Relation {
  if (sign === '<') return '<=';
  if (sign === '>') return '>=';
  return sign as Relation;
}

export function formatClause(clause: Clause): string {
  return clause.map(formatAlternative).join(' | ');
}

export function formatAlternative({
  name,
  qualifier,
  relation: sign,
  version,
}: Alternative): string {
  const colon = qualifier === undefined ? '' : `:${qualifier}`;
  return `${name}${colon}${sign === undefined ? '' : ` (${sign} ${version})`}`;
}

/** What `meets` needs to know of a package. */
export interface Offer {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly provides: readonly Alternative[];
}

/**
 * Whether a package is, or provides, what is wanted. A versioned wish is met by a virtual package only if Provides
 * states a version (policy §7.5).
 */
export function meets(offer: Offer, wanted: Alternative): boolean {
  if (!rightArchitecture(offer, wanted)) return false;
  if (offer.name === wanted.name && inRange(offer.version, wanted)) return true;
  return offer.provides.some(
    (provided) =>
      provided.name === wanted.name &&
      (wanted.relation === undefined ||
        (provided.version !== undefined && inRange(provided.version, wanted))),
  );
}

function inRange(version: string, { relation: sign, version: bound }: Alternative): boolean {
  return sign === undefined || bound === undefined || satisfies(version, sign, bound);
}

/** All packages of an image are of one architecture (or `all`), so `:any` and `:native` mean that one. */
function rightArchitecture(offer: Offer, { qualifier }: Alternative): boolean {
  return (
    qualifier === undefined ||
    qualifier === 'any' ||
    qualifier === 'native' ||
    qualifier === offer.architecture
  );
}
