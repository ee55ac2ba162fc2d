import type { Directives, Flag, Heredoc, Span, Word } from './ast.ts';
import { parseHeredoc } from './heredoc.ts';
import { type LogicalLine, readLines } from './lines.ts';
import { nameAndValue, plainWords, rawWords, type RawWord, skipSpaces } from './raw-words.ts';
import type { MappedText, SourceText } from './source-text.ts';

/**
 * An instruction split into flags and arguments by the rules of its keyword, without further
 * checks: keywords, flags and the number of arguments may be invalid.
 */
export interface SyntaxNode extends Span {
  /** As written. */
  readonly keyword: Word;
  /** Upper-case. */
  readonly name: string;
  readonly text: string;
  readonly flags: readonly Flag[];
  /** Whether the arguments are a JSON array of strings. */
  readonly json: boolean;
  /** For ENV and LABEL: name, value, name, value…; for HEALTHCHECK: the type first. */
  readonly args: readonly Word[];
  /** The arguments as one text. */
  readonly rest: Word;
  /** The instruction inside ONBUILD. */
  readonly child: SyntaxNode | undefined;
  readonly heredocs: readonly Heredoc[];
  /** Whether the arguments look like a JSON array but are invalid, and so are treated as text. */
  readonly brokenJson: boolean;
}

/** A Dockerfile split into instructions, flags and arguments. */
export interface FileSyntax {
  readonly directives: Directives;
  readonly nodes: readonly SyntaxNode[];
  /** Offsets of blank lines in continued instructions, which BuildKit warns about. */
  readonly blankContinuations: readonly number[];
}

/**
 * Splits a Dockerfile into instructions, flags and arguments.
 * @throws DOCKERFILE_INVALID for a file without instructions, and for text that cannot be split
 */
export function parseSyntax(source: SourceText): FileSyntax {
  const { directives, lines } = readLines(source);
  if (lines.length === 0)
    throw source.error(
      source.span(0, 0),
      'the Dockerfile has no instructions',
      'start it with FROM',
    );
  return {
    directives,
    nodes: lines.map((line) => parseNode(line, 0, directives.escape)),
    blankContinuations: lines.flatMap(({ blankContinuation }) => blankContinuation ?? []),
  };
}

function parseNode(logical: LogicalLine, from: number, escape: string): SyntaxNode {
  const { line } = logical;
  const [keyword = { text: '', start: from, end: from }] = plainWords(line.text, from);
  const { flags, next } = readFlags(line, keyword.end, escape);
  const end = line.text.trimEnd().length;
  const start = Math.min(skipSpaces(line.text, next), end);
  const name = keyword.text.toUpperCase();
  const base = {
    position: line.span(from, from).position,
    offset: line.offset(from),
    length: logical.end - line.offset(from),
    keyword: line.word(keyword.start, keyword.end),
    name,
    text: line.text.slice(from),
    flags,
    rest: line.word(start, Math.max(start, end)),
    heredocs: logical.heredocs,
  };
  if (name === 'ONBUILD' && from === 0 && base.rest.text !== '') {
    const child = parseNode(logical, start, escape);
    return { ...base, json: false, args: [], child, brokenJson: false };
  }
  return { ...base, child: undefined, ...readArguments(line, name, start, escape) };
}

/**
 * Reads the leading words that start with `--`; `--` alone ends them. Resolves quotes and escapes.
 */
function readFlags(
  line: MappedText,
  from: number,
  escape: string,
): { flags: readonly Flag[]; next: number } {
  const flags: Flag[] = [];
  for (const word of rawWords(line.text, from, escape)) {
    if (!word.text.startsWith('--')) return { flags, next: word.start };
    if (word.text === '--') return { flags, next: word.end };
    const [name, value] = nameAndValue(unquote(word.text.slice(2), escape));
    flags.push({ ...line.span(word.start, word.end), name, value });
  }
  return { flags, next: line.text.length };
}

function unquote(text: string, escape: string): string {
  let result = '';
  let quote: string | undefined;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index] ?? '';
    if (char === escape && quote !== "'") {
      index += 1;
      result += text[index] ?? '';
    } else if (quote === undefined && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = undefined;
    else result += char;
  }
  return result;
}

type Arguments = Pick<SyntaxNode, 'json' | 'args' | 'brokenJson'>;

function readArguments(line: MappedText, name: string, start: number, escape: string): Arguments {
  const words = (list: readonly RawWord[]): readonly Word[] =>
    list.map((word) => line.word(word.start, word.end));
  const all = (from: number): readonly Word[] => {
    const end = line.text.trimEnd().length;
    return from < end ? [line.word(from, end)] : [];
  };
  switch (name) {
    case 'FROM':
    case 'EXPOSE':
      return asText(words(plainWords(line.text, start)));
    case 'ARG':
      return asText(words(rawWords(line.text, start, escape)));
    case 'ENV':
    case 'LABEL':
      return asText(readPairs(line, name, start, escape));
    case 'ADD':
    case 'COPY':
    case 'VOLUME': {
      const json = readJson(line, name, start);
      if (json?.json === true) return json;
      return { ...asText(words(plainWords(line.text, start))), brokenJson: json !== undefined };
    }
    case 'RUN':
    case 'CMD':
    case 'ENTRYPOINT':
    case 'SHELL':
      return readJson(line, name, start) ?? asText(all(start));
    case 'HEALTHCHECK': {
      const [type] = plainWords(line.text, start);
      if (type === undefined) return asText([]);
      const first = line.word(type.start, type.end);
      const next = skipSpaces(line.text, type.end);
      const rest = readJson(line, name, next) ?? asText(all(next));
      return { ...rest, args: [first, ...rest.args] };
    }
    default:
      return asText(all(start));
  }
}

function asText(args: readonly Word[]): Arguments {
  return { json: false, args, brokenJson: false };
}

/** Returns undefined for text that does not start with `[`. */
function readJson(line: MappedText, name: string, start: number): Arguments | undefined {
  const end = line.text.trimEnd().length;
  const array = line.text.slice(start, Math.max(start, end));
  if (!array.startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(array);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { json: false, args: [line.word(start, end)], brokenJson: true };
  }
  const span = line.span(start, end);
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw line.source.error(
      span,
      `the array after ${name} has elements that are not strings`,
      'put every element in double quotes',
    );
  return { json: true, args: value.map((item) => ({ ...span, text: item })), brokenJson: false };
}

/**
 * Reads `name=value name=value`, or the legacy form `name rest of the line` if the first word has
 * no `=`.
 */
function readPairs(
  line: MappedText,
  keyword: string,
  start: number,
  escape: string,
): readonly Word[] {
  const words = rawWords(line.text, start, escape);
  const [first] = words;
  if (first === undefined) return [];
  if (!first.text.includes('=')) {
    const [name = first] = plainWords(line.text, start);
    const value = skipSpaces(line.text, name.end);
    const end = line.text.trimEnd().length;
    if (value >= end)
      throw line.source.error(
        line.span(name.start, name.end),
        `${keyword} ${name.text} has no value`,
        `write ${keyword} ${name.text}=value`,
      );
    return [line.word(name.start, name.end), line.word(value, end)];
  }
  return words.flatMap((word) => {
    const equals = word.text.indexOf('=');
    if (equals === -1)
      throw line.source.error(
        line.span(word.start, word.end),
        `"${word.text}" is not of the form name=value`,
        'quote values that contain blanks',
      );
    const split = word.start + equals;
    return [line.word(word.start, split), line.word(split + 1, word.end)];
  });
}

/** Reports whether a word of COPY or ADD opens a here-document. */
export function isHeredocWord(word: Word): boolean {
  return typeof parseHeredoc(word.text) === 'object';
}
