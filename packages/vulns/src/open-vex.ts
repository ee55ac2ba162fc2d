import { parsePackageUrl, type PackageUrlParts } from '@lkt/attest';
import { LktError } from '@lkt/core';
import { items, record, text, texts } from './json-fields.ts';
import type { Vulnerability } from './match.ts';

/** A statement of an OpenVEX document about a vulnerability of products. */
export interface VexStatement {
  /** Name and aliases of the vulnerability. */
  readonly ids: readonly string[];
  readonly products: readonly VexProduct[];
  readonly status: VexStatus;
  /** Justification or impact statement; for the other states, the action or the notes. */
  readonly reason: string;
  /** Milliseconds since 1970. A later statement replaces an earlier one. */
  readonly time: number;
}

interface VexProduct {
  /** Package URLs, or other identifiers of the product. */
  readonly ids: readonly string[];
  /** Identifiers of the parts that the statement applies to; undefined: the product itself. */
  readonly subcomponents: readonly string[] | undefined;
}

type VexStatus = (typeof STATES)[number];

const STATES = ['not_affected', 'affected', 'fixed', 'under_investigation'] as const;

/**
 * Parses an OpenVEX 0.2.0 document.
 * @see https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md
 * @throws CONFIG_INVALID, naming the statement
 */
export function parseOpenVex(document: unknown, where: string): readonly VexStatement[] {
  const fields = record(document);
  const context = text(fields?.['@context']) ?? '';
  if (fields === undefined || !context.startsWith('https://openvex.dev/ns'))
    throw new LktError('CONFIG_INVALID', `${where} is not an OpenVEX document`, {
      fix: 'see https://openvex.dev for the format',
    });
  const inherited = timeOf(fields) ?? 0;
  return items(fields['statements']).map((item, index) =>
    statement(record(item) ?? {}, inherited, `${where}: statement ${index + 1}`),
  );
}

function statement(
  fields: Readonly<Record<string, unknown>>,
  inherited: number,
  where: string,
): VexStatement {
  const invalid = (problem: string, fix: string): LktError =>
    new LktError('CONFIG_INVALID', `${where} ${problem}`, { fix });
  const named = record(fields['vulnerability']);
  const ids = [text(named?.['name']) ?? text(named?.['@id']) ?? '', ...texts(named?.['aliases'])];
  if (ids[0] === '') throw invalid('names no vulnerability', 'add vulnerability.name, a CVE');
  const products = items(fields['products']).map((item) => {
    const one = record(item) ?? {};
    // Without them, the statement would be about the whole product.
    if (one['subcomponents'] !== undefined && !Array.isArray(one['subcomponents']))
      throw invalid('has subcomponents that are not a list', 'write [{"@id": "pkg:…"}]');
    return product(one);
  });
  if (products.length === 0) throw invalid('names no product', 'add products, by package URL');
  const status = STATES.find((state) => state === fields['status']);
  if (status === undefined) throw invalid('has no valid status', `use one of ${STATES.join(', ')}`);
  const reason =
    text(fields['impact_statement']) ??
    text(fields['justification']) ??
    text(fields['action_statement']) ??
    text(fields['status_notes']) ??
    '';
  if (status === 'not_affected' && reason === '')
    throw invalid('gives no reason', 'add a justification or an impact_statement');
  return { ids, products, status, reason, time: timeOf(fields) ?? inherited };
}

function product(fields: Readonly<Record<string, unknown>>): VexProduct {
  const parts = items(fields['subcomponents']);
  return {
    ids: identifiers(fields),
    subcomponents:
      parts.length === 0 ? undefined : parts.flatMap((item) => identifiers(record(item) ?? {})),
  };
}

function identifiers(fields: Readonly<Record<string, unknown>>): readonly string[] {
  const purl = text(record(fields['identifiers'])?.['purl']);
  return [text(fields['@id']), purl].filter((id) => id !== undefined);
}

function timeOf(fields: Readonly<Record<string, unknown>>): number | undefined {
  const time = Date.parse(text(fields['last_updated']) ?? text(fields['timestamp']) ?? '');
  return Number.isNaN(time) ? undefined : time;
}

/**
 * Returns the latest statement about a vulnerability of a package, in one of the images.
 * @param images package URLs and names of the images that contain the package
 */
export function statementFor(
  { ids, package: item }: Vulnerability,
  images: readonly string[],
  statements: readonly VexStatement[],
): VexStatement | undefined {
  const isPackage = (id: string): boolean => matchesPackageUrl(id, item.purl);
  const isImage = (id: string): boolean =>
    images.some((image) => id === image || matchesPackageUrl(id, image));
  return statements
    .filter((one) => one.ids.some((id) => ids.includes(id)))
    .filter(({ products }) =>
      products.some((one) =>
        one.subcomponents === undefined
          ? one.ids.some((id) => isPackage(id) || isImage(id))
          : one.ids.some(isImage) && one.subcomponents.some(isPackage),
      ),
    )
    .reduce<VexStatement | undefined>(
      (latest, one) => (latest === undefined || one.time >= latest.time ? one : latest),
      undefined,
    );
}

/** Reports whether a package URL names `purl`. Without version or qualifier it names all. */
function matchesPackageUrl(pattern: string, purl: string): boolean {
  const wanted = parsePackageUrl(pattern);
  const given = parsePackageUrl(purl);
  if (wanted === undefined || given === undefined) return false;
  const same = (['type', 'namespace', 'name'] as const).every(
    (part) => wanted[part] === given[part],
  );
  const sameVersion = wanted.version === undefined || wanted.version === given.version;
  // A statement about a part of a package says nothing about the rest.
  const samePart = wanted.subpath === undefined || wanted.subpath === given.subpath;
  return same && sameVersion && samePart && qualifiersMatch(wanted, given);
}

function qualifiersMatch(wanted: PackageUrlParts, given: PackageUrlParts): boolean {
  return Object.entries(wanted.qualifiers ?? {}).every(
    ([key, value]) => given.qualifiers?.[key] === value,
  );
}
