import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Inputs } from '../build/programs.ts';
import { readPackageJson } from './files.ts';

/** The file with the licences of the libraries in a bundle, which most of them require. */
export const LICENCES = 'LICENSES.txt';

/**
 * Writes the licences of the libraries that a bundle contains.
 * @param inputs the files that it was made from
 * @throws Error if a library has none
 */
export function writeLicences(directory: string, inputs: Inputs): void {
  const libraries = new Set<string>();
  for (const path of inputs) {
    const [, library] = LIBRARY.exec(path) ?? [];
    if (library !== undefined) libraries.add(library);
  }
  const texts = [...libraries].map(licenceOf).toSorted();
  writeFileSync(join(directory, LICENCES), [...new Set(texts)].join('\n'));
}

const LIBRARY = /^(\/.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//;

function licenceOf(library: string): string {
  const { name, version, license } = readPackageJson(library, 'package.json');
  const files = globSync('{LICEN[CS]E,licen[cs]e,COPYING}*', { cwd: library }).toSorted();
  if (files.length === 0 && typeof license !== 'string') throw new Error(`${name} has no licence`);
  const texts = files.map((file) => readFileSync(join(library, file), 'utf8').trim());
  return `${name}@${version}  ${String(license)}\n\n${texts.join('\n\n')}\n`;
}
