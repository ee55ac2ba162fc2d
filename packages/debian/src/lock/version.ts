/**
 * Compares two Debian versions as dpkg does: epoch, upstream version, revision (deb-version(7),
 * "Sorting algorithm"). Negative if `a` is older. A total order on all strings, valid versions or
 * not.
 */
export function compareVersions(a: string, b: string): number {
  const left = split(a);
  const right = split(b);
  return (
    compareNumbers(left.epoch, right.epoch) ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  );
}

/** Sorts by version. The sort is stable: equal versions keep their order. */
export function newestFirst<T extends { readonly version: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => compareVersions(b.version, a.version));
}

/** The relations of control fields such as `Depends: libc6 (>= 2.36)`. */
export type Relation = '<<' | '<=' | '=' | '>=' | '>>';

const HOLDS: Readonly<Record<Relation, (order: number) => boolean>> = {
  '<<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '=': (order) => order === 0,
  '>=': (order) => order >= 0,
  '>>': (order) => order > 0,
};

/** Reports whether `version` has the `relation` to `bound`. */
export function matchesRelation(version: string, relation: Relation, bound: string): boolean {
  return HOLDS[relation](compareVersions(version, bound));
}

/**
 * Reports whether a text is a version, `[epoch:]upstream[-revision]`. Like dpkg, does not require a
 * leading digit, though policy does.
 */
export function isVersion(text: string): boolean {
  return /^(?:\d+:)?[A-Za-z0-9][A-Za-z0-9.+~:-]*$/.test(text);
}

/** Returns the version without Debian's revision: `6.12.107` for `6.12.107-1`. */
export function upstreamVersion(version: string): string {
  const { epoch, upstream } = split(version);
  return epoch === '0' ? upstream : `${epoch}:${upstream}`;
}

/** Returns the version of the source of a package that was rebuilt unchanged: without `+b4`. */
export function withoutRebuild(version: string): string {
  return version.replace(/\+b\d+$/, '');
}

interface Parts {
  readonly epoch: string;
  readonly upstream: string;
  readonly revision: string;
}

function split(version: string): Parts {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  return {
    epoch: colon === -1 ? '0' : version.slice(0, colon),
    upstream: hyphen === -1 ? rest : rest.slice(0, hyphen),
    revision: hyphen === -1 ? '' : rest.slice(hyphen + 1),
  };
}

/** Compares alternately runs of non-digits, by `weight`, and runs of digits, as numbers. */
function comparePart(a: string, b: string): number {
  const left = a.split(/(\d+)/);
  const right = b.split(/(\d+)/);
  for (let at = 0; at < left.length || at < right.length; at += 2) {
    const order =
      compareText(left[at] ?? '', right[at] ?? '') ||
      compareNumbers(left[at + 1] ?? '', right[at + 1] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

function compareText(a: string, b: string): number {
  for (let at = 0; at < a.length || at < b.length; at += 1) {
    const order = weight(a, at) - weight(b, at);
    if (order !== 0) return order;
  }
  return 0;
}

/** Orders characters: `~`, then the end, then letters, then the rest. */
function weight(text: string, at: number): number {
  const char = text.charAt(at);
  if (char === '') return 0;
  if (char === '~') return -1;
  return text.charCodeAt(at) + (/[A-Za-z]/.test(char) ? 0 : 0x10000);
}

/** Compares numbers of any length: a version may contain a timestamp that exceeds a double. */
function compareNumbers(a: string, b: string): number {
  const left = a.replace(/^0+/, '');
  const right = b.replace(/^0+/, '');
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
