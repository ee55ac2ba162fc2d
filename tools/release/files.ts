import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PackageJson, Release } from './release.ts';

/** @param path relative to the checkout */
export function readPackageJson(root: string, path: string): PackageJson {
  return JSON.parse(readFileSync(join(root, path), 'utf8')) as PackageJson;
}

/** Writes the files that every package has. */
export function writePackage(
  { root }: Release,
  source: string,
  directory: string,
  packageJson: object,
): void {
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(packageJson, undefined, 2)}\n`);
  cpSync(join(root, source, 'README.md'), join(directory, 'README.md'));
  cpSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
}
