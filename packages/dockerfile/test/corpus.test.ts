import { readdirSync, readFileSync } from 'node:fs';
import { LktError } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { SourceText } from '../src/parse/source-text.ts';
import { parseSyntax, type SyntaxNode } from '../src/parse/syntax.ts';

// BuildKit's own corpus, from the Debian package golang-github-docker-docker-dev.
const CORPUS = '/usr/share/gocode/src/github.com/moby/buildkit/frontend/dockerfile/parser';

const load = (directory: string): SourceText => {
  const path = `${CORPUS}/${directory}/Dockerfile`;
  return new SourceText({ path, text: readFileSync(path, 'utf8') });
};

describe("BuildKit's parser corpus", () => {
  const cases = readdirSync(`${CORPUS}/testfiles`);

  test('is complete', () => {
    expect(cases.length).toBeGreaterThanOrEqual(33);
  });

  test.each(cases)('%s', (name) => {
    const { nodes } = parseSyntax(load(`testfiles/${name}`));
    const expected = readFileSync(`${CORPUS}/testfiles/${name}/result`, 'utf8');
    expect(`${nodes.map(dump).join('\n')}\n`).toBe(expected);
  });

  test.each(readdirSync(`${CORPUS}/testfiles-negative`))('rejects %s', (name) => {
    expect(() => parseSyntax(load(`testfiles-negative/${name}`))).toThrow(LktError);
  });

  test('reports the line numbers of instructions', () => {
    const { nodes } = parseSyntax(load('testfile-line'));
    const source = load('testfile-line');
    expect(
      nodes.map((node) => [
        node.position.line,
        source.position(node.offset + node.length - 1).line,
      ]),
    ).toEqual([
      [5, 5],
      [11, 12],
      [17, 31],
    ]);
  });
});

/** Formats a node as the S-expression of the corpus: `(keyword ["--flag"] "argument")`. */
function dump(node: SyntaxNode): string {
  const flags = node.flags.map(({ name, value }) =>
    quote(`--${name}${value === undefined ? '' : `=${value}`}`),
  );
  const parts = [node.name.toLowerCase()];
  if (flags.length > 0) parts.push(`[${flags.join(' ')}]`);
  if (node.child !== undefined) parts.push(dump(node.child));
  parts.push(...node.args.map((word) => quote(word.text)));
  return `(${parts.join(' ')})`;
}

/** Quotes a string as Go does. */
function quote(text: string): string {
  const short: Record<string, string> = {
    '\n': '\\n',
    '\t': '\\t',
    '\r': '\\r',
    '\b': '\\b',
    '\f': '\\f',
    '\v': '\\v',
    '"': '\\"',
    '\\': '\\\\',
  };
  const escaped = text.replaceAll(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u001F"\\]/g,
    (char) => short[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `"${escaped}"`;
}
