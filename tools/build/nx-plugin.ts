import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { COMMON_OUTPUT, type Inputs, lazyRequire } from './programs.ts';

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

interface EngineJson {
  readonly engines: { readonly node: string };
}

/**
 * Returns a program that an older Node can read, unlike the bundle. npm only warns about `engines`.
 * @param range such as `>=24.15.0`
 */
function versionCheck(name: string, range: string): string {
  const [, least] = /^>=(\d+(?:\.\d+)+)$/.exec(range) ?? [];
  if (least === undefined) throw new Error(`unsupported range of engines.node: ${range}`);
  return `'use strict';
const least = '${least}'.split('.').map(Number);
const [difference = 0] = process.versions.node
  .split('.')
  .map((part, index) => Number(part) - least[index])
  .filter((part) => part !== 0);
if (difference < 0) {
  throw new Error('${name} needs Node ${least} or later, and this is ' + process.version);
}
module.exports = require('./plugin.js');
`;
}

/**
 * Writes the package of the Nx plugin for other repositories into a directory, ready for `npm
 * pack`. It is a bundle, as Node removes no types below `node_modules`, and depends on Nx alone.
 * @param root the checkout
 * @param inputs where every file that is read is added
 */
export async function buildNxPlugin(
  root: string,
  directory: string,
  inputs: Inputs,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const source = join(root, 'packages/nx-plugin');
  const build = await rolldown({
    input: {
      plugin: join(source, 'src/index.ts'),
      'generate-image': join(source, 'src/generate-image.ts'),
      'generate-package': join(source, 'src/generate-package.ts'),
    },
    cwd: root,
    platform: 'node',
    tsconfig: false,
    logLevel: 'warn',
    // The builder and HTTP through proxies need them; the plugin uses neither.
    external: ['koffi', /^undici(\/|$)/],
    plugins: [lazyRequire()],
  });
  await build.write({
    ...COMMON_OUTPUT,
    dir: directory,
    entryFileNames: '[name].js',
    // The hash makes plugin.js, which names the parts, differ where a part does.
    chunkFileNames: 'part-[name]-[hash].js',
  });
  for (const path of await build.watchFiles) inputs.add(path);
  await build.close();
  const read = (path: string): string => {
    inputs.add(path);
    return readFileSync(path, 'utf8');
  };
  const { name, version, peerDependencies } = JSON.parse(
    read(join(source, 'package.json')),
  ) as PackageJson;
  const { engines } = JSON.parse(read(join(root, 'package.json'))) as EngineJson;
  const { node } = engines;
  writeFileSync(join(directory, 'index.js'), versionCheck(name, node));
  const packageJson = {
    name,
    version,
    description: 'Packages and images of lkt in Nx',
    license: 'Apache-2.0',
    type: 'commonjs',
    engines: { node },
    main: './index.js',
    generators: './generators.json',
    peerDependencies,
  };
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(packageJson, undefined, 2)}\n`);
  writeFileSync(
    join(directory, 'generators.json'),
    read(join(source, 'generators.json')).replaceAll(/"\.\/src\/([\w-]+)\.ts#/g, '"./$1#'),
  );
  cpSync(join(source, 'schemas'), join(directory, 'schemas'), { recursive: true });
  cpSync(join(source, 'README.md'), join(directory, 'README.md'));
  cpSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
}
