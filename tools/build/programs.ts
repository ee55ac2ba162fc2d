import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { type OutputOptions, type Plugin, type PreRenderedChunk, rolldown } from 'rolldown';

/** Files that a build reads, as absolute paths. */
export type Inputs = Set<string>;

/** Differences between the builds of a checkout and of a release. */
interface Variant {
  /** Source of `lkt.cjs`, which starts the others. */
  readonly start: string;
  /** Version of lkt, if not that of `packages/cli/package.json`. */
  readonly version?: string;
}

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
  // With another character anywhere, V8 keeps a whole file in two bytes per character.
  charset: 'ascii',
  comments: { jsdoc: false, annotation: false },
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
  { start, version }: Variant,
): Promise<void> {
  const programs: Entries[] = [
    { lkt: join(root, 'tools/build', start) },
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
      // A module of lkt without a used export is left out, with what only that imports.
      treeshake: { moduleSideEffects: (id) => !OWN_SOURCE.test(id) },
      plugins: [
        programsOf(add),
        constants(inputs),
        lazyRequire(),
        apart('yaml'),
        whenUsed(add),
        withoutHttp2(),
        ...(version === undefined ? [] : [withVersion(version)]),
        replaced({ koffi: KOFFI, debug: DEBUG }),
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

const OWN_SOURCE = /\/packages\/[\w-]+\/src\//;

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

/** Leaves out undici's HTTP/2 client, as `stub-http2.ts` does when the sources run. */
function withoutHttp2(): Plugin {
  return {
    name: 'without-http2',
    load(id) {
      if (id.endsWith('/undici/lib/dispatcher/client-h2.js'))
        return "module.exports = () => { throw new Error('HTTP/2 is left out'); };";
      if (id.endsWith('/http/src/stub-http2.ts'))
        return 'export const stubHttp2 = () => undefined;';
      return undefined;
    },
  };
}

/** Gives `packages/cli/package.json` another version. */
function withVersion(version: string): Plugin {
  return {
    name: 'with-version',
    load(id) {
      if (!id.endsWith('/packages/cli/package.json')) return undefined;
      const manifest = JSON.parse(readFileSync(id, 'utf8')) as object;
      return { code: JSON.stringify({ ...manifest, version }), moduleType: 'json' };
    },
  };
}

/** Computes the system call filters, which are constant on an architecture and take 14 ms. */
function constants(inputs: Inputs): Plugin {
  return {
    name: 'constants',
    async load(id) {
      if (!id.endsWith('/seccomp/filter-text.ts')) return undefined;
      const x64 = await filterTextOn('x64', id, inputs);
      const arm64 = await filterTextOn('arm64', id, inputs);
      const texts = JSON.stringify({ x64, arm64 });
      return `export const filterText = (${texts})[process.arch];\n`;
    },
  };
}

/** Returns the export of `filter-text.ts` on an architecture. */
async function filterTextOn(
  arch: string,
  input: string,
  inputs: Inputs,
): Promise<string | undefined> {
  const define = { 'process.arch': JSON.stringify(arch) };
  const build = await rolldown({ input, platform: 'node', tsconfig: false, transform: { define } });
  const { output } = await build.generate({ format: 'esm' });
  for (const path of await build.watchFiles) inputs.add(path);
  await build.close();
  const { filterText } = (await import(
    `data:text/javascript,${encodeURIComponent(output[0].code)}`
  )) as { readonly filterText: string | undefined };
  return filterText;
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

/**
 * Loads the errors and the help of oclif, each from a file of its own, when they are used. Its
 * parser loads them at the start, for 8 ms, and needs them only for a wrong command line.
 */
function whenUsed(add: (name: string, path: string) => void): Plugin {
  const prefix = '\0when-used:';
  return {
    name: 'when-used',
    resolveId(id, importer = '') {
      if (importer.startsWith(prefix)) return { id, external: true };
      if (!OCLIF_PARSER.test(importer) || !/^\.\/(?:errors|help)$/.test(id)) return undefined;
      const path = createRequire(importer).resolve(id);
      const name = `oclif-${basename(dirname(path))}-${basename(path, '.js')}`;
      add(name, path);
      return prefix + name;
    },
    load(id) {
      if (!id.startsWith(prefix)) return undefined;
      const file = `./${id.slice(prefix.length)}.cjs`;
      return `module.exports = new Proxy({}, { get: (_, key) => require('${file}')[key] });`;
    },
  };
}

const OCLIF_PARSER = /\/@oclif\/core\/lib\/(?:flags|parser\/(?:index|parse|validate))\.js$/;

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
const KOFFI =
  'module.exports = require(`@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`);';

/** Loads the logger of oclif, for 3 ms, only if it logs. */
const DEBUG = `module.exports = 'DEBUG' in process.env ? require('debug') : () => () => undefined;`;
