/**
 * A compiled wildcard pattern: of Go's path/filepath.Match, of .dockerignore with its `**`, or of
 * the shell's `${name#pattern}` with `*` and `?`.
 *
 * Matching simulates all alternatives in parallel, so no pattern is slow: the time is proportional
 * to the length of the text times the length of the pattern.
 */
export class Glob {
  /** Whether the pattern has a wildcard. Without one it matches only `literal`. */
  readonly wild: boolean;
  /** The pattern without its escapes; only meaningful if `wild` is false. */
  readonly literal: string;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.wild = tokens.some((token) => token.kind !== 'char');
    this.literal = tokens.map((token) => (token.kind === 'char' ? token.char : '')).join('');
  }

  matches(text: string): boolean {
    if (!this.wild) return text === this.literal;
    const characters = Array.from(text);
    for (const length of this.prefixes(characters, 0)) {
      if (length === characters.length) return true;
    }
    return false;
  }

  /** Yields the lengths of the matches in `characters` that begin at `start`, ascending. */
  *prefixes(characters: readonly string[], start: number): Generator<number> {
    const tokens = this.#tokens;
    let active = new Set<number>();
    addWithSkips(tokens, active, 0);
    for (let index = start; ; index += 1) {
      if (active.has(tokens.length)) yield index - start;
      const char = characters[index];
      if (char === undefined || active.size === 0) return;
      const next = new Set<number>();
      for (const state of active) {
        const token = tokens[state];
        if (token === undefined || !accepts(token, char)) continue;
        addWithSkips(tokens, next, token.kind === 'star' ? state : state + 1);
      }
      active = next;
    }
  }

  /** Returns the pattern reversed; not for patterns with `**`. */
  reversed(): Glob {
    return new Glob(this.#tokens.toReversed());
  }
}

type Token =
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'any'; readonly except: string }
  | {
      readonly kind: 'class';
      readonly negated: boolean;
      readonly ranges: readonly Range[];
      readonly except: string;
    }
  /** Any number of characters. */
  | { readonly kind: 'star'; readonly except: string }
  /** Matches nothing; the two tokens after it are optional. */
  | { readonly kind: 'optional' };

type Range = readonly [low: number, high: number];

/** A malformed pattern. The caller knows its position and turns it into an LktError. */
export class GlobError extends Error {
  override readonly name: string = 'GlobError';
}

/**
 * Compiles a wildcard pattern.
 * @param options.separator the character that `*`, `?` and classes do not match; '' for none
 * @param options.deep whether `**` matches any number of directories, as in .dockerignore
 * @param options.classes whether `[a-z]` is a character class
 * @throws GlobError for a malformed pattern
 */
export function compileGlob(
  pattern: string,
  options: { readonly separator: string; readonly deep: boolean; readonly classes: boolean },
): Glob {
  const { separator } = options;
  const tokens: Token[] = [];
  const characters = Array.from(pattern);
  let index = 0;
  if (options.deep && /^\*\*[^*?[\\/][^*?[\\]*$/.test(pattern)) {
    // moby/patternmatcher: `**` followed by plain text, as in `**.go`, matches every path with that
    // suffix.
    tokens.push({ kind: 'star', except: '' });
    index = 2;
  }
  while (index < characters.length) {
    const char = characters[index] ?? '';
    index += 1;
    if (char === '\\') {
      const escaped = characters[index];
      if (escaped === undefined) throw new GlobError('the pattern ends in an escape character');
      tokens.push({ kind: 'char', char: escaped });
      index += 1;
    } else if (char === '?') {
      tokens.push({ kind: 'any', except: separator });
    } else if (char === '[' && options.classes) {
      // With `**`, moby/patternmatcher matches a class like any regular expression.
      const read = readClass(characters, index, options.deep ? '' : separator);
      tokens.push(read.token);
      index = read.next;
    } else if (char !== '*') {
      tokens.push({ kind: 'char', char });
    } else if (options.deep && characters[index] === '*') {
      index += 1;
      if (characters[index] === separator) index += 1;
      // Any number of directories, also zero, with or without a following separator.
      if (index < characters.length) tokens.push({ kind: 'optional' });
      tokens.push({ kind: 'star', except: '' });
      if (index < characters.length) tokens.push({ kind: 'char', char: separator });
    } else {
      tokens.push({ kind: 'star', except: separator });
    }
  }
  return new Glob(tokens);
}

function readClass(
  characters: readonly string[],
  start: number,
  except: string,
): { token: Token; next: number } {
  let index = start;
  const negated = characters[index] === '^';
  if (negated) index += 1;
  const ranges: Range[] = [];
  const bound = (): number => {
    let char = characters[index];
    if (char === '\\') {
      index += 1;
      char = characters[index];
    } else if (char === '-' || char === ']') {
      throw new GlobError('a character class in the pattern has a range without a start or an end');
    }
    if (char === undefined) throw new GlobError('a character class in the pattern has no "]"');
    index += 1;
    return char.codePointAt(0) ?? 0;
  };
  while (characters[index] !== ']' || ranges.length === 0) {
    const low = bound();
    let high = low;
    if (characters[index] === '-') {
      index += 1;
      high = bound();
    }
    ranges.push([low, high]);
  }
  return { token: { kind: 'class', negated, ranges, except }, next: index + 1 };
}

/** Adds a state and the states reachable from it without consuming a character. */
function addWithSkips(tokens: readonly Token[], states: Set<number>, state: number): void {
  for (let at = state; !states.has(at); at += 1) {
    states.add(at);
    const token = tokens[at];
    if (token?.kind === 'optional') addWithSkips(tokens, states, at + 3);
    else if (token?.kind !== 'star') return;
  }
}

function accepts(token: Token, char: string): boolean {
  switch (token.kind) {
    case 'char':
      return token.char === char;
    case 'any':
    case 'star':
      return char !== token.except;
    case 'optional':
      return false;
    case 'class': {
      if (char === token.except) return false;
      const code = char.codePointAt(0) ?? 0;
      return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
    }
    default:
      return token satisfies never;
  }
}
