import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Staged } from './release.ts';

/** A package as npm publishes it. */
export interface Packed {
  readonly name: string;
  readonly version: string;
  readonly tarball: string;
  /** Bytes of the tarball, and of its files. */
  readonly size: number;
  readonly unpackedSize: number;
  /** SHA-512, as in package-lock.json. */
  readonly integrity: string;
  readonly paths: readonly string[];
}

interface Answer extends Omit<Packed, 'tarball' | 'paths'> {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** Packs the packages into tarballs, with npm. */
export function pack(packages: readonly Staged[], destination: string): readonly Packed[] {
  const directories = packages.map(({ directory }) => directory);
  const flags = ['--json', '--ignore-scripts', '--pack-destination', destination];
  const text = execFileSync('npm', ['pack', ...flags, ...directories], {
    cwd: destination,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
  const parsed = JSON.parse(text) as readonly Answer[] | Readonly<Record<string, Answer>>;
  return Object.values(parsed).map(({ filename, files, ...rest }) => ({
    ...rest,
    // npm 9 writes the scope into the name.
    tarball: join(destination, filename.replace('@', '').replace('/', '-')),
    paths: files.map(({ path }) => path).toSorted(),
  }));
}
