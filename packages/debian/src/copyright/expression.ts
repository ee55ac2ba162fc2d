/** An SPDX license expression as a tree. A text is an expression without AND and OR. */
export type License = string | { readonly operator: 'AND' | 'OR'; readonly of: readonly License[] };

/** Joins licences, each once and sorted, with those of nested expressions of the same operator. */
export function joined(operator: 'AND' | 'OR', licenses: readonly License[]): License {
  const flat = licenses.flatMap((one) =>
    typeof one !== 'string' && one.operator === operator ? one.of : [one],
  );
  const unique = new Map(flat.map((one) => [formatLicense(one), one]));
  const of = [...unique].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  return of.length === 1 && of[0] !== undefined ? of[0] : { operator, of };
}

export function formatLicense(license: License): string {
  if (typeof license === 'string') return license;
  const parts = license.of.map((one) =>
    typeof one === 'string' ? one : `(${formatLicense(one)})`,
  );
  return parts.join(` ${license.operator} `);
}

/** Operators and their separators, the one that binds least first. */
const LEVELS = [
  ['OR', /\s*,\s*or\s+/i],
  ['AND', /\s*,\s*and\s+/i],
  ['AND', /\s*,\s*/],
  ['OR', /\s+or\s+/i],
  ['AND', /\s+and\s+/i],
] as const;

/**
 * Parses the synopsis of a License field: short names with "and", "or" and "with". "and" binds more
 * closely, unless a comma precedes the word.
 * @param named returns the expression for a short name
 * @see https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-syntax
 */
export function parseLicense(synopsis: string, named: (name: string) => License): License {
  const text = synopsis
    .trim()
    .replaceAll(/_(and|or)_/gi, ' $1 ')
    .replaceAll(/\band\s*\/\s*or\b/gi, 'and')
    .replaceAll(/\s+/g, ' ');
  const parse = (part: string, level: number): License => {
    const [operator, separator] = LEVELS[level] ?? [];
    if (operator === undefined || separator === undefined) return named(part.trim());
    const parts = part.split(separator).filter((one) => one.trim() !== '');
    const of = parts.map((one) => parse(one, level + 1));
    return of.length === 0 ? named(part) : joined(operator, of);
  };
  return parse(text, 0);
}
