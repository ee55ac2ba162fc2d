import { LktError } from '@lkt/core';
import { isVersion, type Relation, matchesRelation } from './version.ts';

/** A package that may satisfy a dependency: `libc6 (>= 2.36)`, `python3:any`. */
export interface Alternative {
  readonly name: string;
  /** Architecture qualifier: `any`, `native` or an architecture. */
  readonly qualifier?: string;
  readonly relation?: Relation;
  readonly version?: string;
}

/** Alternatives, one of which must be satisfied: `debconf | debconf-2.0`. */
export type Clause = readonly Alternative[];

/**
 * Parses a field such as Depends (Debian policy §7.1): clauses separated by commas, alternatives by
 * `|`. Rejects architecture lists and build profiles, which only source packages have.
 * @throws ARCHIVE_INVALID
 */
export function parseRelations(field: string): Clause[] {
  return field
    .split(',')
    .map((clause) => clause.trim())
    .filter((clause) => clause !== '') // dpkg accepts a trailing comma
    .map((clause) => clause.split('|').map(parseAlternative));
}

const ALTERNATIVE =
  /^\s*([A-Za-z0-9][A-Za-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()]+)\s*\))?\s*$/;

/**
 * Parses one alternative.
 * @throws ARCHIVE_INVALID
 */
export function parseAlternative(text: string): Alternative {
  const match = ALTERNATIVE.exec(text);
  const [, name, qualifier, sign, version] = match ?? [];
  if (name === undefined || (version !== undefined && !isVersion(version)))
    throw new LktError('ARCHIVE_INVALID', `invalid package relation "${text.trim()}"`);
  return {
    name,
    qualifier,
    ...(sign === undefined || version === undefined ? {} : { relation: relation(sign), version }),
  };
}

/** Maps the obsolete `<` and `>` to `<=` and `>=` (policy §7.1). */
function relation(sign: string): Relation {
  return (sign === '<' || sign === '>' ? `${sign}=` : sign) as Relation;
}

/** Formats a clause as in a control file. */
export function formatClause(clause: Clause): string {
  return clause.map(formatAlternative).join(' | ');
}

/** Formats an alternative as in a control file. */
export function formatAlternative({
  name,
  qualifier,
  relation: sign,
  version,
}: Alternative): string {
  const colon = qualifier === undefined ? '' : `:${qualifier}`;
  return `${name}${colon}${sign === undefined ? '' : ` (${sign} ${version})`}`;
}

/** The fields of a package that `satisfies` reads. */
export interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly provides: readonly Alternative[];
}

/**
 * Reports whether a package is, or provides, the wanted one. A virtual package satisfies a
 * versioned relation only if Provides states a version (policy §7.5).
 */
export function satisfies(candidate: Candidate, wanted: Alternative): boolean {
  if (!hasArchitecture(candidate, wanted)) return false;
  if (candidate.name === wanted.name && inRange(candidate.version, wanted)) return true;
  return candidate.provides.some(
    (provided) =>
      provided.name === wanted.name &&
      (wanted.relation === undefined ||
        (provided.version !== undefined && inRange(provided.version, wanted))),
  );
}

function inRange(version: string, { relation: sign, version: bound }: Alternative): boolean {
  return sign === undefined || bound === undefined || matchesRelation(version, sign, bound);
}

/**
 * An image has packages of one architecture and `all`, so `:any` and `:native` are that
 * architecture.
 */
function hasArchitecture(candidate: Candidate, { qualifier }: Alternative): boolean {
  return (
    qualifier === undefined ||
    qualifier === 'any' ||
    qualifier === 'native' ||
    qualifier === candidate.architecture
  );
}
