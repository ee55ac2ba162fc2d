import * as fc from 'fast-check';
import { digestOf, LktError } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { DOCKER_HUB, familiarReference, formatReference, parseReference } from '../../src/index.ts';

const DIGEST = digestOf('');

describe('converts between short and full form', () => {
  test.each([
    ['alpine', 'docker.io/library/alpine', 'alpine'],
    ['library/alpine', 'docker.io/library/alpine', 'alpine'],
    ['lkt/sshd', 'docker.io/lkt/sshd', 'lkt/sshd'],
    ['docker.io/lkt/sshd:1', 'docker.io/lkt/sshd:1', 'lkt/sshd:1'],
    ['index.docker.io/lkt/sshd', 'docker.io/lkt/sshd', 'lkt/sshd'],
    ['docker.io/library/a/b', 'docker.io/library/a/b', 'library/a/b'],
    [`lkt/sshd:1@${DIGEST}`, `docker.io/lkt/sshd:1@${DIGEST}`, `lkt/sshd:1@${DIGEST}`],
    [`sshd@${DIGEST}`, `docker.io/library/sshd@${DIGEST}`, `sshd@${DIGEST}`],
    ['localhost/x', 'localhost/x', 'localhost/x'],
    ['localhost:5000/x:y', 'localhost:5000/x:y', 'localhost:5000/x:y'],
    ['[::1]:5000/x', '[::1]:5000/x', '[::1]:5000/x'],
    [
      'ghcr.io/a/b__c/d-e.f:V_1.0-x',
      'ghcr.io/a/b__c/d-e.f:V_1.0-x',
      'ghcr.io/a/b__c/d-e.f:V_1.0-x',
    ],
    ['Host/x', 'Host/x', 'Host/x'],
    ['library', 'docker.io/library/library', 'library'],
  ])('%s', (text, full, familiar) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(full);
    expect(familiarReference(reference)).toBe(familiar);
    const { domain = 'docker.io', ...rest } = reference;
    expect(parseReference(full)).toEqual({ domain, ...rest });
    expect(parseReference(familiar)).toMatchObject(rest);
    expect(formatReference(parseReference(familiar))).toBe(full);
  });
});

test('parses the parts', () => {
  expect(parseReference(`a.b:1/c/d:e@${DIGEST}`)).toEqual({
    domain: 'a.b:1',
    path: 'c/d',
    tag: 'e',
    digest: DIGEST,
  });
  expect(parseReference('c')).toEqual({ domain: undefined, path: 'library/c' });
});

test.each(['alpine', 'lkt/sshd:1', `library/x@${DIGEST}`])('%s names no registry', (text) => {
  const { domain, path } = parseReference(text);
  expect(domain).toBeUndefined();
  // A copy has the same name in the store, and still no registry.
  expect(formatReference({ domain, path })).toBe(`docker.io/${path}`);
});

test.each([
  ['docker.io/alpine', 'docker.io'],
  ['index.docker.io/a/b', 'docker.io'],
  ['localhost/x', 'localhost'],
  ['a.b/x', 'a.b'],
])('%s names the registry %s', (text, domain) => {
  expect(parseReference(text).domain).toBe(domain);
});

describe('rejects', () => {
  test.each([
    ['', 'a part of its name is empty', undefined],
    [':1', 'a part of its name is empty', undefined],
    ['a//b', 'a part of its name is empty', undefined],
    ['a/', 'a part of its name is empty', undefined],
    ['Sshd', '"Sshd" is not a repository name', 'write it in lower case'],
    ['lkt/Sshd', '"Sshd" is not a repository name', 'write it in lower case'],
    ['a/-b', '"-b" is not a repository name', undefined],
    ['a/b..c', '"b..c" is not a repository name', undefined],
    ['a/../b', '".." is not a repository name', undefined],
    ['a b', '"a b" is not a repository name', undefined],
    ['https://ghcr.io/a', '"https:" is not a registry name', undefined],
    ['-a.b/c', '"-a.b" is not a registry name', undefined],
    ['a:', '"" is not a tag', undefined],
    ['a:-', '"-" is not a tag', undefined],
    [`a:${'t'.repeat(129)}`, 'is not a tag', undefined],
    ['a@sha256:00', '"sha256:00" is not a sha256 or sha512 digest', undefined],
    ['a@', '"" is not a sha256 or sha512 digest', undefined],
    [`a@${DIGEST}@${DIGEST}`, 'is not a sha256 or sha512 digest', undefined],
    ['0'.repeat(64), 'it is a bare digest', `write it as name@sha256:${'0'.repeat(64)}`],
    [`${'n'.repeat(250)}/x`, 'its name is longer than 255 characters', undefined],
  ])('%s', (text, why, fix) => {
    let error: unknown;
    try {
      parseReference(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(LktError);
    expect(error).toMatchObject({ code: 'REFERENCE_INVALID', fix });
    expect((error as LktError).message).toContain(why);
  });
});

test('any text is a stable reference or an LktError', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'B', '1', '.', '-', '_', '/', ':', '@', '[', ']') }),
      (text) => {
        try {
          const name = parseReference(text);
          const { domain = DOCKER_HUB, ...rest } = name;
          expect(parseReference(formatReference(name))).toEqual({ domain, ...rest });
          expect(formatReference(parseReference(familiarReference(name)))).toBe(
            formatReference(name),
          );
        } catch (error) {
          if (!(error instanceof LktError)) throw error;
        }
      },
    ),
    { numRuns: 3000 },
  );
});
