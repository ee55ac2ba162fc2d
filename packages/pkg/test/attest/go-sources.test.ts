import { debComponent } from '@lkt/attest';
import { expect, test } from 'vitest';
import { goSuppliersOf } from '../../src/attest/go-sources.ts';

/** Returns the module's package URL of each import path, by files and version of a package. */
function modules(version: string, ...paths: readonly string[]): Record<string, string | undefined> {
  const files = paths.map((path) => ({ owner: 'deb', path: `usr/share/${path}` }));
  const component = debComponent({ name: 'deb', version, architecture: 'all' });
  return Object.fromEntries(
    [...goSuppliersOf(files, new Map([['deb', component]]))].map(([importPath, [supplier]]) => [
      importPath,
      supplier?.parts?.[0]?.component.purl,
    ]),
  );
}

test.each([
  ['1.1.15+ds1-2+deb13u1', 'pkg:golang/github.com/a/b@v1.1.15'],
  ['1:0.27.0-2', 'pkg:golang/github.com/a/b@v0.27.0'],
  ['1.7.24~ds1-6', 'pkg:golang/github.com/a/b@v1.7.24'],
  ['5.1.0-1', 'pkg:golang/github.com/a/b/v5@v5.1.0'],
  // Neither a snapshot nor a prerelease nor two numbers are a version of Go.
  ['0.0~git20241107.638aa7c-2', 'pkg:golang/github.com/a/b'],
  ['1.2.0~rc1-1', 'pkg:golang/github.com/a/b'],
  ['1.22-1', 'pkg:golang/github.com/a/b'],
])('the version %s is that of the module %s', (version, purl) => {
  const paths = ['gocode/src/github.com/a/b/go.mod', 'gocode/src/github.com/a/b/c/c.go'];
  expect(modules(version, ...paths)).toEqual({ 'github.com/a/b/c': purl });
});

test('finds the module of each package of several in one Debian package', () => {
  expect(
    modules(
      '2.1.0-1',
      'gocode/src/github.com/moby/sys/user/go.mod',
      'gocode/src/github.com/moby/sys/user/v2/go.mod',
      'gocode/src/github.com/moby/sys/user/user.go',
      'gocode/src/github.com/moby/sys/user/v2/user.go',
      'gocode/src/github.com/docker/go-units/size.go',
      'gocode/src/example.org/x/x.go',
      'gocode/src/gopkg.in/inf.v2/inf.go',
      'doc/x/x.go',
    ),
  ).toEqual({
    'github.com/moby/sys/user': 'pkg:golang/github.com/moby/sys/user/v2@v2.1.0',
    'github.com/moby/sys/user/v2': 'pkg:golang/github.com/moby/sys/user/v2@v2.1.0',
    // Without go.mod.
    'github.com/docker/go-units': 'pkg:golang/github.com/docker/go-units@v2.1.0%2Bincompatible',
    // No rule names the module.
    'example.org/x': undefined,
    'gopkg.in/inf.v2': 'pkg:golang/gopkg.in/inf.v2@v2.1.0',
  });
});

test("knows the standard library in Debian's package of the Go sources", () => {
  expect(modules('1.24.4-1', 'go-1.24/src/vendor/golang.org/x/net/idna/idna.go')).toEqual({
    'vendor/golang.org/x/net/idna': 'pkg:golang/stdlib@1.24.4',
  });
});
