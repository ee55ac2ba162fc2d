import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isDeep, LktError, longestString, readJson } from '../src/index.ts';

/** Returns JSON with this many levels, in the middle of other values. */
function nested(levels: number, isList: boolean): string {
  const [open, close] = isList ? ['[0,', ',{}]'] : ['{"a":[],"b":', ',"c":0}'];
  return `${open.repeat(levels)}0${close.repeat(levels)}`;
}

test('finds more levels than functions can follow', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 400 }), fc.boolean(), (levels, isList) => {
      const value: unknown = JSON.parse(nested(levels, isList));
      // The empty list or object beside the innermost value is one more.
      expect(isDeep(value)).toBe(levels >= 200);
      expect(isDeep(value, levels)).toBe(true);
      expect(isDeep(value, levels + 1)).toBe(false);
    }),
  );
  expect(isDeep(JSON.parse(nested(20_000, true)))).toBe(true);
  expect(isDeep('text')).toBe(false);
  expect(isDeep(null)).toBe(false);
});

function read(levels: number): unknown {
  const options = { code: 'IMAGE_INVALID', what: 'no manifest' } as const;
  return readJson(Buffer.from(nested(levels, false)), (value) => value, options);
}

test('readJson rejects them with the code of the document', () => {
  expect(read(199)).toBeDefined();
  expect(() => read(20_000)).toThrow(
    new LktError('IMAGE_INVALID', 'no manifest: it has more than 200 levels'),
  );
});

test('longestString finds the longest of all strings and keys', () => {
  const texts = fc.string({ unit: fc.constantFrom('"', '\\', 'a', '{', '\n', 'é') });
  fc.assert(
    fc.property(fc.array(fc.tuple(texts, texts)), (pairs) => {
      const document = pairs.map(([key, value]) => ({ [key]: [value, {}] }));
      const lengths = pairs.flat().map((text) => JSON.stringify(text).length);
      expect(longestString(JSON.stringify(document))).toBe(Math.max(0, ...lengths));
    }),
  );
  expect(longestString('{"a": "unterminated')).toBe(13);
});
