import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { type OutputOptions, type Plugin, type PreRenderedChunk, rolldown } from 'rolldown';

/** Files that a build reads, as absolute paths. */
export type Inputs = Set<string>;

/** Source files by the name of the program. */
type Entries = Readonly<Record<string, string>>;

/** Options of every bundle. */
export const COMMON_OUTPUT: OutputOptions = {
  // An ECMAScript module that imports node:fs makes Node load its streams, for 10 ms.
  format: 'cjs',
  // `require` instead of `import()` does without Node's loader of ECMAScript modules.
  dynamicImportInCjs: false,
  // Errors of libraries are recognised by class names.
  keepNames: true,
};

/**
 * Bundles the programs of lkt into a directory: the start, the command line, and each program that
 * the sources start by `programPath`. Each is a bundle of its own, so that none loads code that
 * only another needs.
 * @param root the checkout
 * @param inputs where every file that is read is added
 */
export async function buildPrograms(
  root: string,
  directory: string,
  inputs: Inputs,
): Promise<void> {
  const programs: Entries[] = [
    { lkt: join(root, 'tools/build/start.ts') },
    { yaml: 'yaml' },
    // oclif loads the file of help by path.
    {
      main: join(root, 'packages/cli/src/main.ts'),
      help: join(root, 'packages/cli/src/help/help.ts'),
    },
  ];
  const known = new Set<string>();
  const add = (name: string, path: string): void => {
    if (known.has(path)) return;
    known.add(path);
    programs.push({ [name]: path });
  };
  for (const entries of programs) {
    const [name = ''] = Object.keys(entries);
    const build = await rolldown({
      input: { ...entries },
      cwd: root,
      platform: 'node',
      tsconfig: false,
      logLevel: 'warn',
      // Loaded only for a proxy, and only a few of its files, by path.
      external: [/^undici(\/|$)/],
      plugins: [
        programsOf(add),
        constants(inputs),
        lazyRequire(),
        apart('yaml'),
        replaced({ koffi: koffi(root, directory), debug: DEBUG }),
      ],
    });
    await build.write({
      ...COMMON_OUTPUT,
      dir: directory,
      entryFileNames: '[name].cjs',
      chunkFileNames: (chunk) => `${name}-${chunkName(chunk)}.cjs`,
    });
    for (const path of await build.watchFiles) inputs.add(path);
    await build.close();
  }
}

/** Returns the name of a chunk: rolldown's, or of a package instead of `src` for its index.ts. */
function chunkName({ name, moduleIds }: PreRenderedChunk): string {
  const [, packageName] =
    /\/packages\/([\w-]+)\/src\/index\.ts$/.exec(moduleIds.at(-1) ?? '') ?? [];
  return packageName ?? name;
}

/** Finds the programs that sources start. */
function programsOf(add: (name: string, path: string) => void): Plugin {
  return {
    name: 'programs',
    transform(code, id) {
      for (const [, name = ''] of code.matchAll(PROGRAM))
        add(name, join(dirname(id), `${name}.ts`));
    },
  };
}

const PROGRAM = /new URL\('([a-z-]+)\.ts', import\.meta\.url\)/g;

/** Removes the `require` that a source makes to load a library late: CommonJS has one. */
export function lazyRequire(): Plugin {
  return {
    name: 'lazy-require',
    transform: (code) => (code.includes(OWN_REQUIRE) ? code.replace(OWN_REQUIRE, '') : undefined),
  };
}

const OWN_REQUIRE = 'const require = createRequire(import.meta.url);';

/** Computes the system call filter, which is constant on an architecture and takes 14 ms. */
function constants(inputs: Inputs): Plugin {
  return {
    name: 'constants',
    async load(id) {
      if (!id.endsWith('/seccomp/filter-text.ts')) return undefined;
      const build = await rolldown({ input: id, platform: 'node', tsconfig: false });
      const { output } = await build.generate({ format: 'esm' });
      for (const path of await build.watchFiles) inputs.add(path);
      await build.close();
      const { filterText } = (await import(
        `data:text/javascript,${encodeURIComponent(output[0].code)}`
      )) as { readonly filterText: string | undefined };
      return `export const filterText = ${JSON.stringify(filterText)};\n`;
    },
  };
}

/** Leaves a library that is loaded late in a file of its own, `LIBRARY.cjs`. */
function apart(library: string): Plugin {
  return {
    name: 'apart',
    resolveId: (id, importer) =>
      id === library && importer !== undefined
        ? { id: `./${library}.cjs`, external: true }
        : undefined,
  };
}

/** Replaces libraries, by name, with sources that may load the library. */
function replaced(sources: Readonly<Record<string, string>>): Plugin {
  return {
    name: 'replaced',
    resolveId: (id, importer) =>
      id in sources && importer?.startsWith('\0') === false ? `\0${id}` : undefined,
    load: (id) => (id.startsWith('\0') ? sources[id.slice(1)] : undefined),
  };
}

/**
 * Loads koffi's native part directly. Koffi searches for it, which takes longer than the rest of
 * the start of the process for a RUN step.
 */
function koffi(root: string, directory: string): string {
  const load = createRequire(join(root, 'package.json'));
  load('koffi');
  const native = Object.keys(load.cache).find((path) => path.endsWith('/koffi.node'));
  if (native === undefined) throw new Error('koffi has loaded no koffi.node');
  return `
    const native = { exports: {} };
    process.dlopen(native, \`\${import.meta.dirname}/${relative(directory, native)}\`);
    export default native.exports;`;
}

/** Loads the logger of oclif, for 3 ms, only if it logs. */
const DEBUG = `module.exports = 'DEBUG' in process.env ? require('debug') : () => () => undefined;`;
