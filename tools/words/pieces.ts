/** A run of source text of one kind. `text` keeps its length: comment markers become blanks. */
export interface Piece {
  readonly kind: 'code' | 'comment' | 'string';
  readonly offset: number;
  readonly text: string;
}

type Language = 'ts' | 'go';

/** Tokens after which a `/` in TypeScript begins a regular expression, not a division. */
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|yield|await))$/;
const REGEX = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^\\/\n[])+\/[a-z]*/y;
const LINES = /\/\/[^\n]*(?:\n[ \t]*\/\/[^\n]*)*/y;
const BLOCK = /\/\*[^]*?\*\//y;
const QUOTED = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/y;
const RAW = /`[^`]*`/y;
const TEMPLATE = /(?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;

/**
 * Splits TypeScript or Go into comments, strings and code, in order. Adjacent line comments are one
 * piece, unless code precedes the first of them. A regular expression counts as code.
 */
export function piecesOf(source: string, language: Language): readonly Piece[] {
  const pieces: Piece[] = [];
  /** For each open `${`, how many braces are open in it. */
  const braces: number[] = [];
  let code = '';
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  const push = (kind: Piece['kind'], text: string): void => {
    if (code !== '') pieces.push({ kind: 'code', offset: at - code.length, text: code });
    code = '';
    pieces.push({ kind, offset: at, text: kind === 'comment' ? withoutMarkers(text) : text });
    at += text.length;
  };
  while (at < source.length) {
    const char = source[at] ?? '';
    const comment = char === '/' ? (take(BLOCK) ?? lines(take(LINES), source, at)) : undefined;
    const quoted = char === "'" || char === '"' ? take(QUOTED) : undefined;
    const raw = char === '`' && language === 'go' ? take(RAW) : undefined;
    const closes = char === '}' && braces.at(-1) === 0;
    if (comment !== undefined) push('comment', comment);
    else if (quoted !== undefined || raw !== undefined) push('string', quoted ?? raw ?? '');
    else if (language === 'ts' && (char === '`' || closes)) {
      if (closes) braces.pop();
      at += 1;
      const rest = take(TEMPLATE) ?? '';
      at -= 1;
      if (rest.endsWith('${')) braces.push(0);
      push('string', char + rest);
    } else {
      const regex =
        char === '/' && language === 'ts' && BEFORE_REGEX.test(lastToken(pieces, code))
          ? take(REGEX)
          : undefined;
      const depth = braces.length - 1;
      if (char === '{' && depth >= 0) braces[depth] = (braces[depth] ?? 0) + 1;
      if (char === '}' && depth >= 0) braces[depth] = (braces[depth] ?? 0) - 1;
      code += regex ?? char;
      at += regex?.length ?? 1;
    }
  }
  if (code !== '') pieces.push({ kind: 'code', offset: at - code.length, text: code });
  return pieces;
}

/** Cuts a comment that follows code after its first line: the next comment is about other code. */
function lines(comment: string | undefined, source: string, at: number): string | undefined {
  if (comment === undefined) return undefined;
  const before = source.slice(source.lastIndexOf('\n', at - 1) + 1, at);
  return before.trim() === '' ? comment : comment.split('\n', 1)[0];
}

function lastToken(pieces: readonly Piece[], code: string): string {
  const own = code.trimEnd();
  if (own !== '') return own.slice(-10);
  const last = pieces.findLast(({ kind, text }) => kind !== 'comment' && text.trim() !== '');
  return last?.kind === 'string' && last.text.endsWith('`') ? 'x' : (last?.text.trimEnd() ?? '');
}

function withoutMarkers(comment: string): string {
  if (comment.startsWith('/*'))
    return comment.replace(/^\/\*+|\*+\/$/g, blank).replace(/^[ \t]*\*/gm, blank);
  return comment.replace(/^[ \t]*\/\//gm, blank);
}

function blank(text: string): string {
  return ' '.repeat(text.length);
}
