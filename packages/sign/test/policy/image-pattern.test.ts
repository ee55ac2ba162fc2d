import { parseReference } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { parseImagePattern } from '../../src/policy/image-pattern.ts';

function matches(pattern: string, image: string): boolean {
  return parseImagePattern(pattern).matches(parseReference(image));
}

describe('an image pattern', () => {
  it.each([
    ['lkt/*', 'lkt/sshd:1'],
    ['lkt/*', 'docker.io/lkt/sshd'],
    ['docker.io/lkt/*', 'lkt/sshd'],
    ['index.docker.io/lkt/sshd', 'lkt/sshd'],
    ['lkt/ss*d', 'lkt/ssd'],
    ['lkt/*-dev', 'lkt/sshd-dev'],
    ['lkt/**', 'lkt/a/b/c'],
    ['ghcr.io/**', 'ghcr.io/a'],
    ['ghcr.io/**', 'ghcr.io/a/b'],
    ['ghcr.io/*/sshd', 'ghcr.io/lkt/sshd'],
    ['ghcr.io/lkt/sshd', 'GHCR.io/lkt/sshd'],
    ['ghcr.io/lkt/sshd', 'ghcr.io:443/lkt/sshd'],
    ['ghcr.io/lkt/sshd', 'ghcr.io:0443/lkt/sshd'],
    ['localhost:5000/a', 'localhost:005000/a'],
    ['registry-1.docker.io/lkt/sshd', 'lkt/sshd'],
    ['127.0.0.1:5000/a', '127.1:5000/a'],
    ['127.0.0.1:5000/a', '2130706433:5000/a'],
    ['127.0.0.1/a', '0x7f.0.0.01:443/a'],
    ['[::1]:5000/a', '[0:0::1]:5000/a'],
    ['localhost:5000/a', 'localhost:5000/a'],
    ['alpine', 'alpine:3'],
    ['library/alpine', 'alpine:3'],
    ['**', 'ghcr.io/a/b'],
  ])('%s matches %s', (pattern, image) => {
    expect(matches(pattern, image)).toBe(true);
  });

  it.each([
    ['lkt/*', 'lkt/a/b'],
    ['lkt/*', 'ghcr.io/lkt/sshd'],
    ['lkt/*', 'xlkt/sshd'],
    ['lkt/**', 'lkt2/sshd'],
    ['lkt/sshd', 'lkt/sshd2'],
    ['lkt/sshd', 'lkt/xsshd'],
    ['lkt/s.hd', 'lkt/sshd'],
    ['ghcr.io/**', 'ghcr.io.evil.example/a'],
    ['ghcr.io/lkt/*', 'ghcrxio/lkt/a'],
    ['localhost:5000/a', 'localhost:5001/a'],
    ['alpine', 'lkt/alpine'],
  ])('%s does not match %s', (pattern, image) => {
    expect(matches(pattern, image)).toBe(false);
  });

  it.each([
    ['*', 'cannot match a registry'],
    ['*/lkt/a', 'cannot match a registry'],
    ['*.example/a', 'cannot match a registry'],
    ['**/a', 'must be at the end'],
    ['lkt**', 'must be at the end'],
    ['lkt/a**', 'must be at the end'],
    ['lkt/**/a', 'must be at the end'],
    ['', 'not an image name'],
    ['lkt/', 'not an image name'],
    ['/lkt', 'not an image name'],
    ['lkt/[ab]', 'not an image name'],
    ['lkt/a?', 'not an image name'],
    ['lkt/{a,b}', 'not an image name'],
    ['lkt/A', 'not an image name'],
    ['lkt/a:1', 'a tag or digest'],
    ['lkt/a:*', 'a tag or digest'],
    [`lkt/a@sha256:${'0'.repeat(64)}`, 'a tag or digest'],
  ])('is rejected: %s', (pattern, reason) => {
    expect(() => parseImagePattern(pattern)).toThrow(reason);
  });
});
