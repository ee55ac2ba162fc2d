import type { AvoidedWords } from './avoided.ts';
import { proseOf, sentencesOf } from './markdown.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** A place in a file that breaks a rule of docs/style.md. */
export interface Finding {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

const MAX_SENTENCE_WORDS = 40;
const MAX_COMMENT_COLUMNS = 100;

/** Code that begins with a function or method of TypeScript, or with a func of Go. */
const FUNCTION =
  /^\s*(?:(?:export|default|async|static|override|private|abstract)\s+)*(?:func(?:tion)?\b|(?:[gs]et\s+)?[#\w]+(?:<[^>()]*>)?\()/;
const HASH_COMMENTS =
  /(?:\.(?:ya?ml|sh|txtar|config)|(?:^|\/)(?:Dockerfile[^/]*|lkt|setup|run|packages))$/;

/** Returns the findings of one file, in order of lines. Files of unknown types have no findings. */
export function findingsOf(
  path: string,
  source: string,
  avoided: AvoidedWords,
): readonly Finding[] {
  const findings = [...problemsOf(path, source, avoided)].map(({ offset, message }) => ({
    path,
    line: source.slice(0, offset).split('\n').length,
    message,
  }));
  return findings.toSorted((one, other) => one.line - other.line);
}

interface Problem {
  readonly offset: number;
  readonly message: string;
}

function problemsOf(path: string, source: string, avoided: AvoidedWords): Iterable<Problem> {
  if (path.endsWith('.md')) return problemsOfMarkdown(source, avoided);
  if (/\.(?:ts|go)$/.test(path)) {
    const isGo = path.endsWith('.go');
    return problemsOfCode(source, piecesOf(source, isGo ? 'go' : 'ts'), avoided);
  }
  return HASH_COMMENTS.test(path) ? problemsOfHashComments(source, avoided) : [];
}

function* problemsOfMarkdown(source: string, avoided: AvoidedWords): Generator<Problem> {
  const prose = proseOf(source);
  yield* phrasesIn({ offset: 0, text: prose }, avoided);
  for (const { offset, words } of sentencesOf(prose))
    if (words > MAX_SENTENCE_WORDS)
      yield { offset, message: `a sentence of ${words} words; at most ${MAX_SENTENCE_WORDS}` };
}

function* problemsOfCode(
  source: string,
  pieces: readonly Piece[],
  avoided: AvoidedWords,
): Generator<Problem> {
  const names = new RegExp(`(?<![.\\w$])(?:${[...avoided.names.keys()].join('|')})(?![\\w$])`, 'g');
  for (const [index, piece] of pieces.entries()) {
    if (piece.kind === 'code') {
      for (const { 0: name, index: at } of piece.text.matchAll(names))
        yield { offset: piece.offset + at, message: avoid(name, avoided.names.get(name)) };
    } else if (piece.kind === 'comment') {
      const text = proseOf(piece.text);
      yield* phrasesIn({ ...piece, text }, avoided);
      yield* openingOf(source, { ...piece, text }, pieces[index + 1]);
      yield* wideLines(source, piece);
    } else if (/\w+\s+\w+\s+\w/.test(piece.text)) yield* phrasesIn(piece, avoided);
  }
}

function* problemsOfHashComments(source: string, avoided: AvoidedWords): Generator<Problem> {
  for (const { 0: comment, index } of source.matchAll(/(?:^[ \t]*#(?!!).*\n?)+/gm)) {
    const text = proseOf(comment.replace(/^[ \t]*#/gm, (marker) => ' '.repeat(marker.length)));
    yield* phrasesIn({ offset: index, text }, avoided);
  }
}

type Text = Pick<Piece, 'offset' | 'text'>;

function* phrasesIn({ offset, text }: Text, { phrases }: AvoidedWords): Generator<Problem> {
  for (const [phrase, use] of phrases) {
    const pattern = new RegExp(`(?<![\\w-])${phrase.split(' ').join('\\s+')}(?![\\w-])`, 'gi');
    for (const { index } of text.matchAll(pattern))
      yield { offset: offset + index, message: avoid(phrase, use) };
  }
}

function avoid(word: string, use = ''): string {
  return `avoid "${word}": ${use}`;
}

function* openingOf(source: string, comment: Text, next: Piece | undefined): Generator<Problem> {
  const opening = /^\s*(What|Whether)\s[^?]*$/.exec(comment.text)?.[1];
  const offset = comment.offset + comment.text.search(/\S/);
  if (opening === 'What')
    yield { offset, message: 'a comment begins with a verb or a noun, not with "What"' };
  const isDoc =
    source.startsWith('/**', comment.offset) || next?.text.startsWith('\nfunc') === true;
  if (opening === 'Whether' && isDoc && next?.kind === 'code' && FUNCTION.test(next.text))
    yield { offset, message: 'the comment of a function begins with "Reports whether"' };
}

function* wideLines(source: string, { offset, text }: Text): Generator<Problem> {
  const from = source.lastIndexOf('\n', offset - 1) + 1;
  let at = from;
  for (const line of source.slice(from, offset + text.length).split('\n')) {
    const columns = line.replaceAll('\t', '    ').length;
    if (columns > MAX_COMMENT_COLUMNS && !line.includes('://'))
      yield {
        offset: at,
        message: `a comment ${columns} columns wide; at most ${MAX_COMMENT_COLUMNS}`,
      };
    at += line.length + 1;
  }
}
