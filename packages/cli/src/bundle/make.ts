/**
 * Makes the bundle: the program, the worker of a build and the first process of a RUN, each in as few files as it can
 * be, beside each other. `node make.ts`, which later.ts starts; nobody reads what it says.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { setPriority } from 'node:os';
import { basename, dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import { commandIds } from '../commands.ts';
import {
  type BundleRecord,
  bundles,
  checkout,
  findBundle,
  fingerprint,
  recordFile,
} from './find.ts';

const root = fileURLToPath(checkout);

/** Each program by itself, so that none waits for parts that only another needs. */
const PROGRAMS: readonly Readonly<Record<string, string>>[] = [
  { main: 'packages/cli/src/main.ts', 'all-commands': 'packages/cli/src/all-commands.ts' },
  { worker: 'packages/builder/src/worker/worker.ts' },
  { init: 'packages/builder/src/sandbox/init.ts' },
  { run: 'packages/cli/src/bundle/run.ts' },
];

/** What is started, where a program is loaded by run.ts. */
const STARTS = {
  'start-main': `require('./run.cjs').runToTheEnd('main', ${JSON.stringify(commandIds)});\n`,
  'start-worker': "require('./run.cjs').run('worker');\n",
};

/** Times of files are this exact, in milliseconds, with room: what is younger may change without a trace. */
const SETTLED = 2000;

/** How long a running lkt may still read from a bundle that another has taken the place of. */
const KEPT_MS = 7 * 24 * 3600 * 1000;

/** Whether nobody else makes one. */
function begin(): boolean {
  setPriority(10);
  mkdirSync(bundles, { recursive: true });
  const lock = new URL('making', bundles);
  for (const attempt of [1, 2]) {
    try {
      mkdirSync(lock);
      return true;
    } catch {
      const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (attempt === 2 || Date.now() - since < 60_000) return false;
      rmSync(lock, { recursive: true, force: true });
    }
  }
  return false;
}

/** @throws whatever stands in the way: then there is no bundle */
async function make(): Promise<void> {
  const start = Date.now();
  const temporary = mkdtempSync(fileURLToPath(new URL('new-', bundles)));
  try {
    const read = new Set(globSync('packages/*/package.json', { cwd: root }));
    // It stands for all of node_modules.
    read.add('node_modules/.lockfile-installed');
    read.add('packages/cli/src/bundle/make.ts');
    for (const entries of PROGRAMS) await bundle(entries, temporary, read);
    for (const [name, text] of Object.entries(STARTS))
      writeFileSync(`${temporary}/${name}.cjs`, text);
    const inputs: Record<string, string> = {};
    for (const path of [...read].toSorted()) {
      const { ctimeMs } = statSync(new URL(path, checkout));
      if (ctimeMs > start - SETTLED) return;
      inputs[path] = fingerprint(path) ?? '';
    }
    const name = createHash('sha256')
      .update(JSON.stringify([process.version, inputs]))
      .digest('hex')
      .slice(0, 16);
    const directory = new URL(name, bundles);
    // Whoever may read the checkout; a temporary directory is for its owner alone.
    chmodSync(temporary, 0o777 & ~process.umask());
    putAt(temporary, directory);
    // From now on it is an old one, which those who have begun with it still read from.
    const before = currentName();
    if (before !== undefined && before !== name) touch(new URL(before, bundles));
    const record: BundleRecord = { directory: name, node: process.version, inputs };
    writeFileSync(new URL('bundle.new', bundles), JSON.stringify(record));
    renameSync(new URL('bundle.new', bundles), recordFile);
    removeOld(name);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** One of the same name was made of the same sources, and others may be reading from it: it stays if it is one. */
function putAt(temporary: string, directory: URL): void {
  if (existsSync(new URL(`${directory.href}/main.cjs`))) return;
  rmSync(directory, { recursive: true, force: true });
  renameSync(temporary, directory);
}

function currentName(): string | undefined {
  try {
    return (JSON.parse(readFileSync(recordFile, 'utf8')) as BundleRecord).directory;
  } catch {
    return undefined;
  }
}

function touch(directory: URL): void {
  try {
    utimesSync(directory, new Date(), new Date());
  } catch {
    // It is gone.
  }
}

async function bundle(
  entries: Readonly<Record<string, string>>,
  directory: string,
  read: Set<string>,
): Promise<void> {
  const names = Object.keys(entries);
  const build = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, root + entries[name]])),
    cwd: root,
    platform: 'node',
    tsconfig: false,
    logLevel: 'silent',
    plugins: [places(read), constants(read), nativePart()],
  });
  await build.write({
    dir: directory,
    // With modules of ECMAScript every import of a part of Node loads more of it.
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: 'part-[name]-[hash].cjs',
    // Errors are told apart by the names of their classes.
    keepNames: true,
    // Node warns where code that it did not load itself imports.
    dynamicImportInCjs: false,
  });
  await build.close();
}

/** Notes which files are read, and says where what lies beside a source lies in the bundle. */
function places(read: Set<string>): Plugin {
  return {
    name: 'places',
    transform(code, id) {
      const [file = ''] = id.split('?');
      if (!file.startsWith(root) || file.includes('/node_modules/')) return undefined;
      read.add(file.slice(root.length));
      if (!code.includes('import.meta.url')) return undefined;
      const changed = code
        .replaceAll(
          PROGRAM_URL,
          (_, program: string) =>
            `new URL('${program === 'worker' ? 'start-worker' : program}.cjs', import.meta.url)`,
        )
        .replaceAll("load('yaml')", "require('yaml')");
      const rest = changed
        .replaceAll(KNOWN_URL, '')
        .replaceAll('createRequire(import.meta.url)', '');
      if (rest.includes('import.meta.url'))
        throw new Error(`${basename(file)} says where it lies in a way that is not known here`);
      return { code: changed };
    },
  };
}

/** Has what is the same whenever it is made on this machine made now. */
function constants(read: Set<string>): Plugin {
  const directory = 'packages/builder/src/seccomp/';
  return {
    name: 'constants',
    async load(id) {
      if (id !== `${root}${directory}filter-text.ts`) return undefined;
      for (const path of globSync(`${directory}*.ts`, { cwd: root })) read.add(path);
      const { filterText } = (await import(id)) as { readonly filterText: string | undefined };
      return `export const filterText = ${JSON.stringify(filterText)};\n`;
    },
  };
}

/**
 * Has what koffi loads in the end loaded at once: looking for it takes longer than to start without it, and each RUN
 * does.
 */
function nativePart(): Plugin {
  const load = createRequire(new URL('packages/builder/package.json', checkout));
  load('koffi');
  const found = Object.keys(load.cache).find((path) => path.endsWith('/koffi.node'));
  const modules = dirname(realpathSync(new URL('node_modules/koffi', checkout)));
  const path = relative(modules, found ?? '');
  if (!path.startsWith('@koromix/')) throw new Error(`koffi has its native part at ${path}`);
  const virtual = '\0koffi';
  return {
    name: 'native-part',
    resolveId: (id) => (id === 'koffi' ? virtual : undefined),
    load: (id) =>
      id === virtual
        ? `const part = { exports: {} };
           process.dlopen(part, \`\${import.meta.dirname}/../../../${path}\`);
           export default part.exports;`
        : undefined,
  };
}

const PROGRAM_URL = /new URL\('(?:\.\.\/)?(worker|init|all-commands)\.ts', import\.meta\.url\)/g;
const KNOWN_URL = /new URL\('(start-worker|init|all-commands)\.cjs', import\.meta\.url\)/g;

function removeOld(current: string): void {
  for (const name of readdirSync(bundles)) {
    const path = new URL(name, bundles);
    if (!/^[0-9a-f]{16}$|^new-/.test(name) || name === current) continue;
    if (Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path, { recursive: true });
  }
}

if (import.meta.main && begin()) {
  try {
    // One that others have made meanwhile is in use, and must not be replaced under those who read from it.
    if (findBundle() === undefined) await make();
  } finally {
    rmSync(new URL('making', bundles), { recursive: true, force: true });
  }
}
