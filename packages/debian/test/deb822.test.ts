import { describe, expect, it } from 'vitest';
import { parseDeb822, words } from '../src/deb/deb822.ts';

describe('parseDeb822', () => {
  it('reads paragraphs, comments, folded and multi-line values', () => {
    const text = `# a comment
Package: a
Depends: b,
 c
SHA256:
 11 1 x
 22 2 y

\t
package:b
# in between
Empty:
`;
    expect(parseDeb822(text, 'test').map((paragraph) => Object.fromEntries(paragraph))).toEqual([
      { package: 'a', depends: 'b,\nc', sha256: '\n11 1 x\n22 2 y' },
      { package: 'b', empty: '' },
    ]);
  });

  it.each([
    ['a: 1\nno field\n', 'file:2: expected "Field: value"'],
    [' a: 1\n', 'file:1: a continuation line without a field'],
    ['a: 1\nb: 2\nA: 3\n', 'file:3: the field A appears twice'],
  ])('rejects %j', (text, message) => {
    expect(() => parseDeb822(text, 'file')).toThrow(message);
  });
});

it('splits lists of words over lines', () => {
  expect(words(' a  b\n\tc ')).toEqual(['a', 'b', 'c']);
  expect(words(undefined)).toEqual([]);
});
