import { describe, expect, it } from 'vitest';
import type { LktError } from '@lkt/core';
import { type PackageSpec, parseBuildYml } from '../src/build-yml/build-yml.ts';

const parse = (text: string): PackageSpec =>
  parseBuildYml({ path: 'pkg/x/build.yml', text }, '/src/pkg/x');

function failure(text: string): LktError {
  try {
    parse(text);
  } catch (error) {
    return error as LktError;
  }
  throw new Error('it was accepted');
}

it('has LinuxKit’s defaults', () => {
  expect(parse('image: x\n')).toMatchObject({
    name: 'linuxkit/x',
    org: 'linuxkit',
    tag: '{{.Hash}}',
    dockerfile: 'Dockerfile',
    arches: ['amd64', 'arm64', 'riscv64'],
    extraSources: [],
    gitrepo: undefined,
    network: false,
    disableCache: false,
    config: undefined,
    buildArgs: [],
    depends: undefined,
    secrets: [],
    target: undefined,
    reproducible: true,
    debian: undefined,
  });
});

it('parses every key', () => {
  const spec = parse(`
org: registry.example:5000/team
image: x
tag: v1-{{.Hash}}
dockerfile: docker/Dockerfile.x
arches: [arm64]
extra-sources:
  - ../../common:/common/
  - /abs:sub/../dst
gitrepo: https://git.example/x
network: true
disable-cache: true
config:
  readonly: true
buildArgs:
  - A=b=c
  - EMPTY=
  - BASE=@lkt:pkg:../base
depends:
  docker-images:
    target-dir: images
    list: [redis@sha256:${'a'.repeat(64)}]
secrets: [token, npm.key]
target: release
reproducible: the compiler writes the time
`);
  expect(spec).toMatchObject({
    name: 'registry.example:5000/team/x',
    tag: 'v1-{{.Hash}}',
    dockerfile: 'docker/Dockerfile.x',
    arches: ['arm64'],
    gitrepo: 'https://git.example/x',
    network: true,
    disableCache: true,
    config: { readonly: true },
    secrets: [{ id: 'token' }, { id: 'npm.key' }],
    target: { stage: 'release' },
    reproducible: false,
    nonReproducibleReason: 'the compiler writes the time',
  });
  expect(spec.extraSources).toMatchObject([
    { source: '/src/common', destination: 'common' },
    { source: '/abs', destination: 'dst' },
  ]);
  expect(spec.buildArgs).toMatchObject([
    { name: 'A', value: 'b=c' },
    { name: 'EMPTY', value: '' },
    { name: 'BASE', value: '@lkt:pkg:../base' },
  ]);
});

it('parses a debian block', () => {
  const { debian } = parse('image: x\ndebian: { suite: trixie, packages: [bash] }\n');
  expect(debian).toMatchObject({ suite: 'trixie', packages: ['bash'] });
});

it.each([
  ['true', true, undefined],
  ['false', false, undefined],
  ['"why"', false, 'why'],
])('reproducible: %s', (text, reproducible, nonReproducibleReason) => {
  expect(parse(`image: x\nreproducible: ${text}\n`)).toMatchObject({
    reproducible,
    nonReproducibleReason,
  });
});

it('names a package in familiar form', () => {
  expect(parse('org: docker.io/me\nimage: x\n').name).toBe('me/x');
});

describe('errors', () => {
  it.each<[text: string, at: string, message: string, fix?: string]>([
    ['', '1:1', 'expected a mapping, found nothing'],
    ['org: x', '1:1', '"image" is missing', 'add: image: NAME'],
    ['image: x\nnetwrk: true\n', '2:1', 'unknown key "netwrk"', 'did you mean "network"?'],
    ['image: x\nextra_sources: []\n', '2:1', 'unknown key', 'did you mean "extra-sources"?'],
    [
      'image: x\nconfig:\n  capabilites: []\n',
      '3:3',
      'unknown key "capabilites"',
      'did you mean "capabilities"?',
    ],
    [
      'image: x\nconfig:\n  runtime:\n    mkdirs: []\n',
      '4:5',
      'unknown key "mkdirs"',
      'did you mean "mkdir"?',
    ],
    [
      'image: x\nconfig: { runtime: { mkdir: [{ path: /a, owner: 1 }] } }\n',
      '2:42',
      'unknown key "owner"',
    ],
    ['image: x\nconfig: { runtime: { mkdir: [{ uid: 1 }] } }\n', '2:30', '"path" is missing'],
    [
      'image: x\nconfig: { runtime: { mkdir: [{ path: /a, uid: 4294967295 }] } }\n',
      '2:47',
      'ids go from 0 to 4294967294',
    ],
    ['image: x\nnetwork: maybe\n', '2:10', 'expected true or false'],
    ['image: X\n', '1:8', 'not an image reference'],
    ['image: x:1\n', '1:8', 'must not have a tag'],
    ['image: x\ntag: a b\n', '2:6', 'is not a tag'],
    ['image: x\ntag: "{{.Nope}}"\n', '2:6', '{{.Nope}}'],
    ['image: x\ndockerfile: ../Dockerfile\n', '2:13', 'not a path inside the package'],
    ['image: x\ndockerfile: /etc/passwd\n', '2:13', 'not a path inside the package'],
    ['image: x\narches: [x86/64]\n', '2:10', 'not an architecture'],
    [
      'image: x\narches: [amd64, foo]\n',
      '2:17',
      '"foo" is not an architecture',
      'use some of: amd64, arm64, riscv64, 386, arm, loong64, mips, mips64, mips64le, mipsle, ppc64, ppc64le, s390x',
    ],
    ['image: x\nextra-sources: [common]\n', '2:17', 'not an extra source'],
    ['image: x\nbuildArgs: [A]\n', '2:13', 'not a build argument'],
    ['image: x\ndepends: { docker-images: { target: a, list: [redis:1] } }\n', '2:47', 'no digest'],
    [
      'image: x\ndepends: { docker-images: { list: [] } }\n',
      '2:27',
      '"target" or "target-dir" is missing',
    ],
    [
      'image: x\ndepends: { docker-images: { target: a, target-dir: b } }\n',
      '2:37',
      'exclude each other',
    ],
    [
      'image: x\ndebian: { suite: trixie, packages: [bash] }\ndockerfile: D\n',
      '3:13',
      'has no Dockerfile',
    ],
    [
      'image: x\ndebian: { suite: trixie, packages: [bash] }\ntarget: D\n',
      '3:9',
      'has no Dockerfile',
    ],
    ['image: x\nsecrets: [a b]\n', '2:11', 'not the id of a secret'],
    ['image: x\nsecrets: [a, b, a]\n', '2:17', 'duplicate secret'],
    ['image: x\nreproducible: ""\n', '2:15', 'the reason is empty'],
    ['image: x\nreproducible: 1\n', '2:15', 'expected true or false'],
    ['image: x\nimage: y\n', '2:1', '"image" is already on line 1'],
    ['image: [x\n', '', ''],
  ])('%j', (text, at, message, fix) => {
    const error = failure(text);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toMatch(new RegExp(`^pkg/x/build\\.yml:${at}`));
    expect(error.message).toContain(message);
    if (fix !== undefined) expect(error.fix).toBe(fix);
    expect(error.detail).toMatch(/\^/);
  });
});
