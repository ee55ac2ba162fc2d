import { compareDigits, compareText } from './digits.ts';

/**
 * Compares two versions of Alpine packages as apk does: `number{.number}{letter}{_suffix{number}}
 * {~hash}{-rnumber}` (apk-package(5), "pkgver"). Negative if `a` is older.
 * @returns undefined if one of them is not a version
 */
export function compareApkVersions(a: string, b: string): number | undefined {
  const left = tokensOf(a);
  const right = tokensOf(b);
  if (left === undefined || right === undefined) return undefined;
  for (const [index, one] of left.entries()) {
    const other = right[index] ?? END;
    if (one.kind !== other.kind) return compareKinds(one, other);
    const order = compareTokens(one, other);
    if (order !== 0) return order;
  }
  return 0;
}

/** Parts of a version. The lower of two at the same place makes the newer version. */
const Kind = { first: 0, digits: 1, letter: 2, suffix: 3, count: 4, hash: 5, revision: 6, end: 7 };

interface Token {
  readonly kind: number;
  readonly text: string;
}

const END: Token = { kind: Kind.end, text: '' };

/** Suffixes in their order: those of versions before the one without a suffix, and after it. */
const BEFORE: readonly string[] = ['alpha', 'beta', 'pre', 'rc'];
const SUFFIXES: readonly string[] = [...BEFORE, 'cvs', 'svn', 'git', 'hg', 'p'];

const FORM =
  /^(\d+)((?:\.\d+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:~([0-9a-f]+))?(?:-r(\d+))?$/;

function tokensOf(version: string): readonly Token[] | undefined {
  const [, first, rest = '', letter, suffixes = '', hash, revision] = FORM.exec(version) ?? [];
  if (first === undefined) return undefined;
  return [
    { kind: Kind.first, text: first },
    ...rest
      .split('.')
      .slice(1)
      .map((text) => ({ kind: Kind.digits, text })),
    ...optional(Kind.letter, letter),
    ...suffixes
      .split('_')
      .slice(1)
      .flatMap((suffix) => {
        const [, text = '', count] = /^([a-z]+)(\d*)$/.exec(suffix) ?? [];
        return [{ kind: Kind.suffix, text }, ...optional(Kind.count, count)];
      }),
    ...optional(Kind.hash, hash),
    ...optional(Kind.revision, revision),
    END,
  ];
}

function optional(kind: number, text = ''): readonly Token[] {
  return text === '' ? [] : [{ kind, text }];
}

/** Compares two parts of one kind. */
function compareTokens({ kind, text }: Token, other: Token): number {
  if (kind === Kind.suffix) return SUFFIXES.indexOf(text) - SUFFIXES.indexOf(other.text);
  const isText =
    kind === Kind.letter ||
    kind === Kind.hash ||
    // As fractions: 1.01 is older than 1.1, and than 1.010.
    (kind === Kind.digits && (text.startsWith('0') || other.text.startsWith('0')));
  return isText ? compareText(text, other.text) : compareDigits(text, other.text);
}

/** Compares versions that are equal up to two parts of different kinds. */
function compareKinds(one: Token, other: Token): number {
  const isBefore = ({ kind, text }: Token): boolean =>
    kind === Kind.suffix && BEFORE.includes(text);
  return Number(isBefore(other)) - Number(isBefore(one)) || other.kind - one.kind;
}
