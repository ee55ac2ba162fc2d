import { posix } from 'node:path';
import { assert, constantFrom, property, stringMatching, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBuildYml } from '../src/build-yml/build-yml.ts';
import {
  declaredName,
  mayContain,
  mayDeclare,
  UnparsedPackages,
} from '../src/workspace/unparsed-packages.ts';

const file = (text: string): { path: string; text: string } => ({ path: 'build.yml', text });

describe('take', () => {
  test('removes the files that may declare a name, and keeps the order', () => {
    const files = new UnparsedPackages();
    const texts = ['image: b\n', 'image: a\n', '{ image: c }\n', 'image: a # x\n', 'nonsense'];
    for (const [index, text] of texts.entries()) files.add(`/pkg/${index}`, file(text));
    const taken = files.take(mayDeclare('a'));
    expect(taken.map(([dir]) => dir)).toEqual(['/pkg/1', '/pkg/2', '/pkg/3', '/pkg/4']);
    expect([...files.entries()].map(([dir]) => dir)).toEqual(['/pkg/0']);
  });

  test('selects an invalid file by the name of its directory', () => {
    expect(mayDeclare('a')('/pkg/a', 'image: b\nimage: [\n')).toBe(true);
    expect(mayDeclare('a')('/pkg/a', 'image: b\n')).toBe(true);
    expect(mayDeclare('a')('/pkg/b', 'image: b\n')).toBe(false);
  });
});

/** Ways to write a scalar in YAML. */
const scalar = constantFrom<(text: string) => string>(
  (text) => text,
  (text) => `"${text}"`,
  (text) => `'${text}'`,
  (text) => `!!str ${text}`,
  (text) => `&x ${text}`,
  (text) => `>-\n  ${text}`,
  (text) => `\n  ${text}`,
  (text) => `"\\x${text.charCodeAt(0).toString(16)}${text.slice(1)}"`,
  (text) => `${text} # image: other`,
);

const key = constantFrom(
  'image:',
  '"image":',
  "'image' :",
  '? image\n:',
  '"\\x69mage":',
  'image   :',
  '# image: other\nimage:',
);

const before = constantFrom(
  '',
  'org: lkt\n',
  '# image: other\n',
  'gitrepo: "a\n\nimage: other\n"\n',
);

test('selects every file that declares the name, in any notation of YAML', () => {
  const name = stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
  let valid = 0;
  assert(
    property(name, key, scalar, before, (image, theKey, write, start) => {
      const text = `${start}${theKey} ${write(image)}\n`;
      let declared: string;
      try {
        ({ image: declared } = parseBuildYml(file(text), '/pkg/elsewhere'));
      } catch {
        return;
      }
      valid += 1;
      expect(mayDeclare(posix.basename(declared))('/pkg/elsewhere', text)).toBe(true);
      expect(mayContain(text, declared)).toBe(true);
    }),
    { numRuns: 2000 },
  );
  expect(valid).toBeGreaterThan(500);
});

test('returns another declared name for every other name, in any notation of YAML', () => {
  const word = stringMatching(/^[a-z][a-z0-9-]{0,4}$/);
  const write = tuple(key, scalar, before, constantFrom('', 'tag: ', '"tag": ', 'tag:\n  '));
  let compared = 0;
  assert(
    property(tuple(word, word), write, tuple(word, word), write, (a, writeA, b, writeB) => {
      const [one, other] = [describedBy(a, writeA), describedBy(b, writeB)];
      if (one === undefined || other === undefined || one.name === other.name) return;
      compared += 1;
      expect(declaredName(one.text)).not.toBe(declaredName(other.text));
    }),
    { numRuns: 2000 },
  );
  expect(compared).toBeGreaterThan(300);
});

test('has one declared name for files that differ in other keys', () => {
  expect(declaredName('org: a\nimage: b\nnetwork: true\n')).toBe(
    declaredName('# new\norg: a\nimage: b # c\n'),
  );
});

function describedBy(
  [image, tag]: readonly [string, string],
  [theKey, write, start, tagKey]: readonly [string, (text: string) => string, string, string],
): { readonly text: string; readonly name: string } | undefined {
  const text = `${start}${theKey} ${write(image)}\n${tagKey === '' ? '' : `${tagKey}${tag}\n`}`;
  try {
    const found = parseBuildYml(file(text), '/pkg/elsewhere');
    return { text, name: `${found.name}:${found.tag}` };
  } catch {
    return undefined;
  }
}
