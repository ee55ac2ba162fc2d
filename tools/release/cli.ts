import { hash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join, relative } from 'node:path';
import { hashOf } from '../build/manifest.ts';
import { buildPrograms, type Inputs } from '../build/programs.ts';
import { readPackageJson, writePackage } from './files.ts';
import { LICENCES, writeLicences } from './licences.ts';
import { commonFields, type Release, type Staged } from './release.ts';

/**
 * Stages `@lkt/cli`: the launcher and a bundle with all libraries. Node and the native part of
 * koffi depend on the machine: they are optional dependencies, at the versions of the lock file.
 */
export async function stageCli(release: Release): Promise<Staged> {
  const { root, stage, version } = release;
  const directory = join(stage, 'cli');
  const building = join(directory, 'dist/new');
  mkdirSync(building, { recursive: true });
  const inputs: Inputs = new Set();
  await buildPrograms(root, building, inputs, { start: 'start-installed.ts', version });
  writeLicences(directory, inputs);
  renameSync(building, join(directory, 'dist', idOf(release, inputs)));
  mkdirSync(join(directory, 'bin'));
  cpSync(join(root, 'packages/cli/bin/lkt'), join(directory, 'bin/lkt'));
  chmodSync(join(directory, 'bin/lkt'), 0o755);
  writePackage(release, 'packages/cli', directory, {
    name: '@lkt/cli',
    description: 'Builds, verifies and boots reproducible Linux system images',
    ...commonFields(release, 'packages/cli'),
    bin: { lkt: 'bin/lkt' },
    os: ['linux'],
    cpu: ['x64', 'arm64'],
    libc: ['glibc'],
    optionalDependencies: machineDependencies(root),
  });
  return {
    name: '@lkt/cli',
    directory,
    files: [
      'bin/lkt',
      LICENCES,
      ...['lkt', 'main', 'help', 'yaml', 'worker', 'init'].map(program),
      program('(main|help|worker|init)-[\\w.$-]+'),
      program('oclif-(errors|help|parser)-\\w+'),
    ],
    mayImport: ['picomatch', 'pnpapi', 'ts-node'],
  };
}

/** Returns the pattern of a file of the bundle. */
function program(name: string): RegExp {
  return new RegExp(`^dist/[0-9a-f]{16}/${name}\\.cjs$`);
}

/** Returns the packages with native code, of which npm installs those of the machine. */
function machineDependencies(root: string): Readonly<Record<string, string>> {
  const nodes = readPackageJson(root, 'package.json').optionalDependencies ?? {};
  const { koffi = '' } = readPackageJson(root, 'packages/oci/package.json').dependencies ?? {};
  return {
    '@koromix/koffi-linux-arm64': koffi,
    '@koromix/koffi-linux-x64': koffi,
    ...nodes,
  };
}

/** Returns the id of the build: a hash over all sources, the libraries and the version. */
function idOf({ root, version }: Release, inputs: Inputs): string {
  const contents = [...inputs]
    .filter((path) => !path.includes('\0'))
    .map((path) => [relative(root, path), hashOf(path)])
    .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1));
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  return hash('sha256', JSON.stringify([version, lock, contents])).slice(0, 16);
}
