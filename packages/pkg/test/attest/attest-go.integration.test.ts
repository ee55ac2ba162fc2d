import { execFileSync } from 'node:child_process';
import { readFile as readHostFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAttestation } from '@lkt/attest';
import type { BuildContext, BuildRequest, Engine } from '@lkt/builder';
import { silentReporter } from '@lkt/core';
import {
  type Descriptor,
  type EntryWithContent,
  openStore,
  SOURCE_DATE_EPOCH,
  type Store,
  writeImage,
  writeLayer,
} from '@lkt/oci';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AdvisoryIndex, evaluate, parseSbom, readDatabase } from '@lkt/vulns';
import { buildPackages } from '../../src/build/build.ts';
import { lockPackage } from '../../src/debian/lock.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import { checkout, ENV, temporary, write } from '../../../git/test/checkout.ts';
import { type DebianArchive, debianArchive } from '../debian-archive.ts';

const GO = '/usr/lib/go-1.24/bin/go';
const GOCODE = 'usr/share/gocode/src';

/** Sources of Debian packages, in the versions of Debian 13's first release. */
const SOURCES = {
  'github.com/opencontainers/runc/go.mod': 'module github.com/opencontainers/runc\n',
  'github.com/opencontainers/runc/main.go':
    'package main\n\nimport "github.com/godbus/dbus"\n\nfunc main() { dbus.Call() }\n',
  'github.com/godbus/dbus/go.mod': 'module github.com/godbus/dbus/v5\n',
  'github.com/godbus/dbus/dbus.go':
    'package dbus\n\n//go:noinline\nfunc Call() { println("called") }\n',
};

let archive: DebianArchive;

beforeAll(async () => {
  archive = await debianArchive();
});

afterAll(() => archive[Symbol.asyncDispose]());

/** Writes one file: the program of a package, or a copy of the one in the first base. */
class ProgramEngine implements Engine {
  readonly #program: Buffer;

  constructor(program: Buffer) {
    this.#program = program;
  }

  async build(request: BuildRequest, { store }: BuildContext): Promise<Descriptor> {
    const program = this.#program;
    const entry: EntryWithContent = {
      path: 'usr/bin/runc',
      type: 'file',
      mode: 0o755,
      uid: 0,
      gid: 0,
      mtime: SOURCE_DATE_EPOCH,
      size: program.length,
      content: (async function* content(): AsyncGenerator<Uint8Array> {
        yield program;
      })(),
    };
    const layer = await writeLayer(store, [entry]);
    return writeImage(store, { config: {}, layers: [layer], platform: request.platform });
  }
}

const FILES = {
  'tools/sources/build.yml':
    'org: lkt\nimage: sources\narches: [amd64]\ndebian:\n  suite: trixie\n  packages: [golang-1.24-src, golang-github-opencontainers-runc-dev, golang-dbus-dev]\n',
  'pkg/runc/build.yml':
    'org: lkt\nimage: runc\narches: [amd64]\nbuildArgs:\n  - BASE=@lkt:pkg:../../tools/sources\n',
  'pkg/runc/Dockerfile':
    'ARG BASE\nFROM ${BASE} AS build\nRUN go build\nFROM scratch\nCOPY --from=build /out /\n',
  'pkg/copy/build.yml':
    'org: lkt\nimage: copy\narches: [amd64]\nbuildArgs:\n  - RUNC=@lkt:pkg:../runc\n',
  'pkg/copy/Dockerfile':
    'ARG RUNC\nFROM ${RUNC} AS runc\nFROM scratch\nCOPY --from=runc /usr/bin/runc /\n',
};

/** Compiles the sources as the packages of lkt do: outside of modules, stripped. */
async function compile(): Promise<{ readonly program: Buffer; readonly version: string }> {
  await using dir = await temporary();
  await write(
    dir.path,
    Object.fromEntries(Object.entries(SOURCES).map(([path, text]) => [`src/${path}`, text])),
  );
  const env = {
    PATH: process.env['PATH'],
    HOME: dir.path,
    GOPATH: dir.path,
    GO111MODULE: 'off',
    CGO_ENABLED: '0',
  };
  const out = join(dir.path, 'runc');
  const flags = ['-trimpath', '-buildmode=pie', '-ldflags=-s -w -buildid='];
  execFileSync(GO, ['build', ...flags, '-o', out, 'github.com/opencontainers/runc'], { env });
  const version = execFileSync(GO, ['env', 'GOVERSION'], { env, encoding: 'utf8' });
  return { program: await readHostFile(out), version: version.trim().replace('go', '') };
}

async function documentOf(
  path: string,
  store: Store,
  name: string,
  engine: Engine,
): Promise<unknown> {
  const workspace = await openWorkspace(path, { env: ENV });
  const target = workspace.get(name);
  const options = { store, engine, mirror: async () => archive.mirror, reporter: silentReporter };
  const { packages } = await buildPackages(workspace, [target], options);
  const [image] = packages.find(({ item }) => item === target)?.attestations?.images ?? [];
  if (image === undefined) throw new Error('nothing was built');
  return JSON.parse(String(await readAttestation(store, image.sbom))) as unknown;
}

/** Returns the files of the Debian package with a module, by path. */
function filesOf(module: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(SOURCES)
      .filter(([path]) => path.startsWith(module))
      .map(([path, text]) => [`${GOCODE}/${path}`, text]),
  );
}

it('finds the vulnerabilities of the packages whose sources are in a program', async () => {
  const { program, version } = await compile();
  const engine = new ProgramEngine(program);
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  const standard = { 'usr/share/go-1.24/src/runtime/proc.go': 'package runtime\n' };
  await archive.publish({
    'golang-1.24-src': [`${version}-1`, undefined, { source: 'golang-1.24', files: standard }],
    'golang-github-opencontainers-runc-dev': [
      '1.1.15+ds1-2',
      undefined,
      { source: 'runc', files: filesOf('github.com/opencontainers/runc') },
    ],
    'golang-dbus-dev': [
      '5.1.0-1',
      undefined,
      { source: 'golang-dbus', files: filesOf('github.com/godbus/dbus') },
    ],
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  await lockPackage(workspace, await workspace.packageAt('tools/sources'), {
    store,
    mirror: async () => archive.mirror,
    reporter: silentReporter,
    keyrings: [archive.keyring],
  });
  const tracker = join(dir.path, 'tracker.json');
  const fixed = { status: 'resolved', fixed_version: '1.1.15+ds1-2+deb13u1', urgency: 'high' };
  const runc = { releases: { trixie: fixed } };
  await writeFile(
    tracker,
    JSON.stringify({ runc: { 'CVE-2025-31133': runc, 'CVE-2025-52565': runc } }),
  );
  const advisories = new AdvisoryIndex();
  await readDatabase(tracker, (advisory) => advisories.add(advisory));

  // The program of a package, and a copy of it in the image of another.
  for (const name of ['lkt/runc', 'lkt/copy']) {
    const { packages } = parseSbom(await documentOf(repo.path, store, name, engine), name);
    expect(packages.map(({ purl }) => purl)).toEqual([
      'pkg:deb/debian/golang-1.24-src@' +
        `${version}-1?arch=amd64&distro=trixie&upstream=golang-1.24`,
      'pkg:deb/debian/golang-dbus-dev@5.1.0-1?arch=amd64&distro=trixie&upstream=golang-dbus',
      'pkg:deb/debian/golang-github-opencontainers-runc-dev@1.1.15%2Bds1-2?arch=amd64&distro=trixie&upstream=runc',
      'pkg:golang/github.com/godbus/dbus/v5@v5.1.0',
      'pkg:golang/github.com/opencontainers/runc@v1.1.15',
      `pkg:golang/stdlib@${version}`,
    ]);
    const found = evaluate([{ name, images: [], packages }], advisories, []);
    expect(found.map((one) => [one.id, one.package.name])).toEqual(
      ['CVE-2025-31133', 'CVE-2025-52565'].map((id) => [
        id,
        'golang-github-opencontainers-runc-dev',
      ]),
    );
  }
});
