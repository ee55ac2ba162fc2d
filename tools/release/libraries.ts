import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPackageJson, writePackage } from './files.ts';
import { commonFields, type PackageJson, type Release, type Staged } from './release.ts';

/**
 * The libraries that other projects may import, lowest first. The others change with lkt and are
 * only in its bundle.
 */
export const LIBRARIES = [
  'core',
  'oci',
  'formats',
  'http',
  'registry',
  'attest',
  'sign',
  'debian',
  'vulns',
  'dockerfile',
  'audit',
] as const;

/** Stages the libraries: each source as `.js` and `.d.ts`, unbundled, so that they can be read. */
export function stageLibraries(release: Release): readonly Staged[] {
  const { root, stage } = release;
  const compiled = join(stage, 'compiled');
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const words = ['--project', join(root, 'tools/release/tsconfig.json'), '--outDir', compiled];
  execFileSync(process.execPath, [tsc, ...words], { stdio: ['ignore', 'inherit', 'inherit'] });
  const staged = LIBRARIES.map((library) => stageLibrary(release, library, compiled));
  rmSync(compiled, { recursive: true });
  return staged;
}

function stageLibrary(release: Release, library: string, compiled: string): Staged {
  const { root, stage, version } = release;
  const directory = join(stage, library);
  mkdirSync(directory, { recursive: true });
  cpSync(join(compiled, library, 'src'), join(directory, 'lib'), { recursive: true });
  for (const path of globSync('**/*.{js,d.ts}', { cwd: join(directory, 'lib') }))
    namesOutputs(join(directory, 'lib', path));
  const source = readPackageJson(root, `packages/${library}/package.json`);
  const checkout = readPackageJson(root, 'package.json');
  writePackage(release, `packages/${library}`, directory, {
    name: source.name,
    description: summaryOf(readFileSync(join(root, `packages/${library}/README.md`), 'utf8')),
    ...commonFields(release, `packages/${library}`),
    type: 'module',
    engines: checkout.engines,
    exports: exportsOf(source),
    dependencies: dependenciesOf(source, version),
    // The declarations name types of Node.
    peerDependencies: { '@types/node': '>=24' },
    peerDependenciesMeta: { '@types/node': { optional: true } },
  });
  return {
    name: source.name,
    directory,
    files: [/^lib\/([\w-]+\/)*[\w-]+\.(js|d\.ts|json)$/],
  };
}

/** Names `.js` where a source named a `.ts` that the compiler leaves: programs, and types. */
function namesOutputs(path: string): void {
  const text = readFileSync(path, 'utf8');
  const changed = text
    .replaceAll(/(new URL\('[a-z-]+)\.ts(', import\.meta\.url\))/g, '$1.js$2')
    .replaceAll(/(\b(?:from |import\()(['"])\.{1,2}\/[^'"]+)\.ts\2/g, '$1.js$2');
  if (changed !== text) writeFileSync(path, changed);
}

/** Returns the first sentence of a README, without its end. */
function summaryOf(readme: string): string {
  const [, text = ''] = /^# .*\n\n([\s\S]*?)\.\s/.exec(readme) ?? [];
  return text.replaceAll(/\s+/g, ' ').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}

function exportsOf({ exports = {} }: PackageJson): object {
  const entries = Object.entries(typeof exports === 'string' ? { '.': exports } : exports);
  return Object.fromEntries(
    entries.map(([name, source]) => {
      const path = source.replace(/^\.\/src\//, './lib/').replace(/\.ts$/, '');
      return [name, { types: `${path}.d.ts`, default: `${path}.js` }];
    }),
  );
}

function dependenciesOf({ dependencies = {} }: PackageJson, version: string): object {
  return Object.fromEntries(
    Object.entries(dependencies).map(([name, pinned]) => [
      name,
      name.startsWith('@lkt/') ? version : pinned,
    ]),
  );
}
