/** One part of a path, or any number of directories. */
type Part = '**' | readonly Token[];

/** A character, any character but a slash, any text without a slash, or a class of characters. */
type Token = string | typeof ANY | typeof STAR | RegExp;

const ANY: unique symbol = Symbol('?');
const STAR: unique symbol = Symbol('*');

/** A pattern of a .gitignore. */
export interface Glob {
  readonly parts: readonly Part[];
  /** Whether it matches the whole path instead of its last component. */
  readonly isPath: boolean;
}

/**
 * Parses a pattern without `!` and without the slash at its end.
 * @param pattern one char per byte
 * @throws Error for an escape or an unusual class of characters
 */
export function parseGlob(pattern: string): Glob {
  const isPath = pattern.includes('/');
  const names = pattern.replace(/^\//, '').split('/');
  if (!isPath) return { isPath, parts: [tokensOf(names[0] ?? '')] };
  const parts = names.map((name) => (/^\*{2,}$/.test(name) ? ('**' as const) : tokensOf(name)));
  // At the end it stands for something in the directory, not for the directory itself.
  return { isPath, parts: parts.at(-1) === '**' ? [...parts, [STAR]] : parts };
}

/**
 * Reports whether a pattern matches a path, in a time that grows with the product of their lengths.
 * @param path one char per byte
 */
export function matchesPath({ parts, isPath }: Glob, path: string): boolean {
  const names = path.split('/');
  return matches(
    parts,
    isPath ? names : names.slice(-1),
    (part) => part === '**',
    (part, name) => part !== '**' && matchesName(part, name),
  );
}

function matchesName(tokens: readonly Token[], name: string): boolean {
  return matches(
    tokens,
    name.split(''),
    (token) => token === STAR,
    (token, char) =>
      token === ANY || token === char || (token instanceof RegExp && token.test(char)),
  );
}

/** Matches a pattern whose wild elements stand for any number of items. */
function matches<Element, Item>(
  pattern: readonly Element[],
  items: readonly Item[],
  isWild: (element: Element) => boolean,
  matchesOne: (element: Element, item: Item) => boolean,
): boolean {
  let [at, item] = [0, 0];
  // Where to go on if the rest does not match: the last wild element takes one item more.
  let [wild, taken] = [-1, 0];
  while (item < items.length) {
    const element = pattern[at];
    if (at < pattern.length && isWild(element as Element)) {
      [wild, taken] = [at, item];
      at += 1;
    } else if (at < pattern.length && matchesOne(element as Element, items[item] as Item)) {
      at += 1;
      item += 1;
    } else if (wild === -1) return false;
    else {
      taken += 1;
      [at, item] = [wild + 1, taken];
    }
  }
  return pattern.slice(at).every((element) => isWild(element));
}

/** A class without escapes, nested brackets and names such as `[:alpha:]`. */
const CLASS = /^\[([!^]?)((?:[^\][\\:/]-[^\][\\:/]|[^\][\\:/])+)\]/;

function tokensOf(name: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < name.length; at += 1) {
    const char = name.charAt(at);
    if (char === '\\') throw new Error('only git reads escapes');
    if (char === '[') {
      const [whole, negation, body] = CLASS.exec(name.slice(at)) ?? [];
      if (whole === undefined) throw new Error('only git reads this class');
      tokens.push(new RegExp(`^[${negation === '' ? '' : '^'}${body}]$`, 's'));
      at += whole.length - 1;
    } else if (char === '*') tokens.push(STAR);
    else tokens.push(char === '?' ? ANY : char);
  }
  return tokens;
}
