import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildNxPlugin } from '../build/nx-plugin.ts';
import { writePackage } from './files.ts';
import { LICENCES, writeLicences } from './licences.ts';
import { commonFields, type PackageJson, type Release, type Staged } from './release.ts';

/** Stages `@lkt/nx-plugin`, the bundle that `npm run build` writes too. */
export async function stageNxPlugin(release: Release): Promise<Staged> {
  const directory = join(release.stage, 'nx-plugin');
  const inputs = new Set<string>();
  await buildNxPlugin(release.root, directory, inputs);
  writeLicences(directory, inputs);
  const text = readFileSync(join(directory, 'package.json'), 'utf8');
  const packageJson = JSON.parse(text) as PackageJson;
  writePackage(release, 'packages/nx-plugin', directory, {
    ...packageJson,
    ...commonFields(release, 'packages/nx-plugin'),
  });
  return {
    name: packageJson.name,
    directory,
    files: [
      LICENCES,
      'index.js',
      'plugin.js',
      'generate-image.js',
      'generate-package.js',
      'generators.json',
      /^part-[\w$-]+\.js$/,
      /^schemas\/[\w-]+\.json$/,
    ],
    mayImport: ['koffi'],
  };
}
