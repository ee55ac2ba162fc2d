import { expect, test } from 'vitest';
import { debComponent } from '../src/component.ts';
import { goComponent, goContent, type GoProgram, mergeSuppliers } from '../src/go-content.ts';
import { goPackages, repositoryOf } from '../src/go-packages.ts';

const PROGRAM: GoProgram = {
  goVersion: 'go1.24.4',
  path: 'github.com/opencontainers/runc',
  modules: [],
  settings: ['-trimpath=true'],
  directories: [
    'fmt',
    'github.com/containerd/typeurl/v2',
    'github.com/opencontainers/runc',
    'github.com/opencontainers/runc/libcontainer/utils',
    'google.golang.org/grpc',
    'google.golang.org/grpc/codes',
    'runtime',
    'vendor/golang.org/x/net/idna',
  ],
};

function supplier(deb: string, version: string, module: string, release: string) {
  const component = debComponent({ name: deb, version, architecture: 'all' });
  return [{ component, parts: [{ component: goComponent({ path: module, version: release }) }] }];
}

const GO = supplier('golang-1.24-src', '1.24.4-1', 'stdlib', '1.24.4');
const RUNC = supplier(
  'golang-github-opencontainers-runc-dev',
  '1.1.15+ds1-2',
  'github.com/opencontainers/runc',
  'v1.1.15',
);
const TYPEURL = supplier(
  'golang-github-containerd-typeurl-dev',
  '2.1.1-3',
  'github.com/containerd/typeurl/v2',
  'v2.1.1',
);
const SUPPLIERS = new Map([
  ...['fmt', 'runtime', 'vendor/golang.org/x/net/idna'].map((path) => [path, GO] as const),
  ['github.com/opencontainers/runc', RUNC],
  ['github.com/opencontainers/runc/libcontainer/utils', RUNC],
  ['github.com/containerd/typeurl', TYPEURL],
]);

/** Returns package URLs, those of parts after their whole. */
function purls({ parts = [] }: ReturnType<typeof goContent>): readonly (string | undefined)[] {
  return parts.flatMap((part) => [
    part.component.purl,
    ...(part.parts ?? []).map(({ component }) => `  ${component.purl}`),
  ]);
}

test('a program built without modules has the versions of the packages with its sources', () => {
  const content = goContent(PROGRAM, 'usr/bin/runc', SUPPLIERS);
  expect(content.component).toEqual({
    kind: 'go',
    name: 'github.com/opencontainers/runc',
    version: 'v1.1.15',
    comment: '-trimpath=true',
  });
  expect(purls(content)).toEqual([
    'pkg:golang/google.golang.org/grpc',
    'pkg:deb/debian/golang-1.24-src@1.24.4-1?arch=all',
    '  pkg:golang/stdlib@1.24.4',
    'pkg:deb/debian/golang-github-containerd-typeurl-dev@2.1.1-3?arch=all',
    '  pkg:golang/github.com/containerd/typeurl/v2@v2.1.1',
    'pkg:deb/debian/golang-github-opencontainers-runc-dev@1.1.15%2Bds1-2?arch=all',
    '  pkg:golang/github.com/opencontainers/runc@v1.1.15',
  ]);
});

test.each([
  ['without packages that have sources', new Map<string, typeof GO>()],
  ['of another Go', new Map([...SUPPLIERS, ['runtime', supplier('g', '1', 'stdlib', '1.23.1')]])],
])('a program %s has no versions but that of Go', (_what, suppliers) => {
  const content = goContent(PROGRAM, 'usr/bin/runc', suppliers);
  expect(content.component.version).toBeUndefined();
  expect(purls(content)).toEqual([
    'pkg:golang/github.com/containerd/typeurl',
    'pkg:golang/github.com/opencontainers/runc',
    'pkg:golang/google.golang.org/grpc',
    'pkg:golang/stdlib@1.24.4',
  ]);
});

test('a module replaced by the directory of a package has the version of the package', () => {
  const sys = supplier('golang-golang-x-sys-dev', '0.22.0-1', 'golang.org/x/sys', 'v0.22.0');
  const program: GoProgram = {
    ...PROGRAM,
    path: 'lkt/dhcp',
    main: { path: 'lkt/dhcp', version: '(devel)' },
    modules: [
      {
        path: 'golang.org/x/sys',
        version: '',
        directory: '/usr/share/gocode/src/golang.org/x/sys',
      },
      { path: 'example.org/a', version: 'v1.0.0', sum: 'h1:a=' },
    ],
    // Go names the replaced version.
    directories: ['example.org/a@v1.0.0', 'golang.org/x/sys@v0.21.0/unix', 'lkt/dhcp', 'runtime'],
  };
  const suppliers = mergeSuppliers([SUPPLIERS, new Map([['golang.org/x/sys/unix', sys]])]);
  expect(purls(goContent(program, 'usr/bin/dhcp', suppliers))).toEqual([
    'pkg:golang/example.org/a@v1.0.0',
    'pkg:deb/debian/golang-1.24-src@1.24.4-1?arch=all',
    '  pkg:golang/stdlib@1.24.4',
    'pkg:deb/debian/golang-golang-x-sys-dev@0.22.0-1?arch=all',
    '  pkg:golang/golang.org/x/sys@v0.22.0',
  ]);
  expect(purls(goContent(program, 'usr/bin/dhcp', new Map()))).toEqual([
    'pkg:golang/golang.org/x/sys',
    'pkg:golang/example.org/a@v1.0.0',
    'pkg:golang/stdlib@1.24.4',
  ]);
});

test('two images with different versions of a package are both listed', () => {
  const newer = new Map([
    [
      'github.com/opencontainers/runc',
      supplier('golang-github-opencontainers-runc-dev', '1.3.0-1', 'runc', 'v1.3.0'),
    ],
  ]);
  const content = goContent(PROGRAM, 'usr/bin/runc', mergeSuppliers([SUPPLIERS, newer]));
  expect(purls(content).filter((purl) => purl?.includes('runc-dev') === true)).toHaveLength(2);
});

test('reads import paths from directories of every kind', () => {
  expect(
    goPackages([
      '/usr/lib/go-1.24/src/runtime',
      '/usr/lib/go-1.24/src/vendor/golang.org/x/net/idna',
      '/root/go/pkg/mod/github.com/!burnt!sushi/toml@v1.4.0/internal',
      '/build/src/github.com/a/b/c',
      '/build/src/own',
      'github.com/docker/cli/vendor/github.com/x/y',
      'example.org/m/v2@v2.0.0-20260101000000-abcdefabcdef/p',
      '_/src/own',
    ]),
  ).toEqual([
    { importPath: 'runtime' },
    { importPath: 'vendor/golang.org/x/net/idna' },
    {
      importPath: 'github.com/BurntSushi/toml/internal',
      module: { path: 'github.com/BurntSushi/toml', version: 'v1.4.0' },
    },
    { importPath: 'github.com/a/b/c' },
    { importPath: 'github.com/x/y' },
    {
      importPath: 'example.org/m/v2/p',
      module: { path: 'example.org/m/v2', version: 'v2.0.0-20260101000000-abcdefabcdef' },
    },
    { importPath: '_/src/own' },
  ]);
});

test('derives the repositories of known hosts from import paths', () => {
  const paths = [
    'github.com/a/b/c/d',
    'golang.org/x/sys/unix',
    'gopkg.in/yaml.v3',
    'gopkg.in/a/b.v1/c',
  ];
  expect(paths.map(repositoryOf)).toEqual([
    'github.com/a/b',
    'golang.org/x/sys',
    'gopkg.in/yaml.v3',
    'gopkg.in/a/b.v1',
  ]);
  expect(['github.com/a', 'example.org/a/b', 'fmt'].map(repositoryOf)).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('describes a program with the modules of its build info', () => {
  const { component, paths, ...content } = goContent(
    {
      goVersion: 'go1.24.4',
      path: 'example.org/Tool/cmd',
      main: { path: 'example.org/Tool', version: 'v1.2.3', sum: 'h1:main=' },
      modules: [{ path: 'golang.org/x/sys', version: 'v0.1.0', sum: 'h1:sys=' }],
      settings: ['-trimpath=true', 'CGO_ENABLED=0'],
    },
    'usr/bin/tool',
    new Map(),
  );
  expect(component).toMatchObject({
    name: 'example.org/Tool',
    purl: 'pkg:golang/example.org/tool@v1.2.3',
    comment: '-trimpath=true CGO_ENABLED=0',
  });
  expect(paths).toEqual(['usr/bin/tool']);
  expect(purls({ component, ...content })).toEqual([
    'pkg:golang/golang.org/x/sys@v0.1.0',
    'pkg:golang/stdlib@1.24.4',
  ]);
});
