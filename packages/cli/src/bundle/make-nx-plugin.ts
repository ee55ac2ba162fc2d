/**
 * Makes the package of the Nx plugin for other repositories, with no dependency but Nx: Node takes no types out of what is
 * below node_modules, so it has a bundle. `node make-nx-plugin.ts DIR`, then `npm pack DIR`.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import { checkout } from './find.ts';

const root = fileURLToPath(checkout);
const source = join(root, 'packages/nx-plugin');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** Makes `dir` the package; what was there goes. */
export async function makeNxPlugin(dir: string): Promise<void> {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const build = await rolldown({
    input: {
      index: join(source, 'src/index.ts'),
      'generate-image': join(source, 'src/generate-image.ts'),
      'generate-package': join(source, 'src/generate-package.ts'),
    },
    cwd: root,
    platform: 'node',
    tsconfig: false,
    logLevel: 'silent',
    // The engine loads it to build, which the plugin does not do.
    external: ['koffi'],
    plugins: [withYaml()],
  });
  await build.write({
    dir,
    format: 'cjs',
    entryFileNames: '[name].js',
    chunkFileNames: 'part-[name]-[hash].js',
    keepNames: true,
  });
  await build.close();
  const { name, version, peerDependencies } = JSON.parse(
    readFileSync(join(source, 'package.json'), 'utf8'),
  ) as Manifest;
  const manifest = {
    name,
    version,
    description: 'Packages and images of lkt in Nx',
    license: 'Apache-2.0',
    type: 'commonjs',
    main: './index.js',
    generators: './generators.json',
    peerDependencies,
  };
  writeFileSync(join(dir, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  const generators = readFileSync(join(source, 'generators.json'), 'utf8');
  writeFileSync(
    join(dir, 'generators.json'),
    generators.replaceAll(/"\.\/src\/([\w-]+)\.ts#/g, '"./$1#'),
  );
  cpSync(join(source, 'schemas'), join(dir, 'schemas'), { recursive: true });
  cpSync(join(source, 'README.md'), join(dir, 'README.md'));
  cpSync(join(root, 'LICENSE'), join(dir, 'LICENSE'));
}

/** What sources load when they need it, so that nothing waits for it: a bundler does not see that. */
function withYaml(): Plugin {
  return {
    name: 'with-yaml',
    transform: (code) =>
      code.includes("load('yaml')")
        ? { code: code.replaceAll("load('yaml')", "require('yaml')") }
        : undefined,
  };
}

if (import.meta.main) {
  const [, , dir] = argv;
  if (dir === undefined) throw new Error('say where: node make-nx-plugin.ts DIR');
  await makeNxPlugin(resolve(dir));
}
