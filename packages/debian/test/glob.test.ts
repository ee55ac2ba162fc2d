import { describe, expect, it } from 'vitest';
import { toRaw } from '@lkt/oci';
import { matcher } from '../src/assemble/glob.ts';

describe('matcher', () => {
  it.each([
    ['usr/share/doc', 'usr/share/doc', true],
    ['usr/share/doc', 'usr/share/doc/bash/copyright', true],
    ['/usr/share/doc/', 'usr/share/doc/bash', true],
    ['usr/share/doc', 'usr/share/doc-base', false],
    ['usr/share/doc/*/copyright', 'usr/share/doc/bash/copyright', true],
    ['usr/share/doc/*/copyright', 'usr/share/doc/a/b/copyright', false],
    ['usr/**/*_test.go', 'usr/share/a/b/c_test.go', true],
    ['usr/**/*_test.go', 'usr/c_test.go', true],
    ['usr/**/*_test.go', 'usr/c_test.goo', false],
    ['**/testdata', 'testdata/x', true],
    ['**/testdata', 'a/b/testdata/x', true],
    ['**/testdata', 'a/mytestdata', false],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['a+b.c', 'a+b.c', true],
    ['a+b.c', 'aab.c', false],
    ['é*', 'éa', true],
  ])('%s on %s: %s', (glob, path, expected) => {
    expect(matcher([glob])(toRaw(path))).toBe(expected);
  });

  it('matches no path without globs', () => {
    expect(matcher([])('')).toBe(false);
  });
});
