import { lstat, mkdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isErrno, LktError, readJson } from '@lkt/core';
import { parseNpm, runNpm } from '../session/npm.ts';
import type { Session } from '../session/session.ts';
import type { Named, NewSource } from './new-source.ts';

/** Flags that run no scripts of packages, and send no other requests than needed. */
const QUIET: readonly string[] = [
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
];

const VERSION = /^\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/;

/**
 * Returns another version of an npm package, the newest or the wanted one; undefined for a link.
 */
export async function npmSource(
  session: Session,
  { collection, root, to }: Named,
  name: string,
): Promise<NewSource | undefined> {
  const project = await projectOf(root, name);
  if (project === undefined) return undefined;
  const from = await versionIn(collection.root);
  const wanted = to ?? 'latest';
  if (!/^[\w.+-]+$/.test(wanted))
    throw new LktError('USAGE_INVALID', `"${wanted}" is not a version of an npm package`, {
      fix: 'write a version such as 1.2.3, or a tag such as latest',
    });
  const npm = async (...words: readonly string[]): Promise<string> =>
    runNpm(session, project, words);
  const found = await viewVersion(npm, name, wanted);
  const version = typeof found === 'string' ? found : '';
  if (!VERSION.test(version))
    throw new LktError('NOT_FOUND', `npm has no version ${wanted} of ${name}`, {
      fix: `list them: npm view ${name} versions`,
    });
  const files = ['package.json', 'package-lock.json'].map((file) => join(project, file));
  const undo = async (): Promise<void> => void (await npm('install', ...QUIET));
  let compared: Integrities = new Map();
  const fetch = async (temporary: string): Promise<string> => {
    const { dir, integrities } = await unpack(npm, name, version, temporary);
    compared = integrities;
    return dir;
  };
  const apply = async (): Promise<void> => {
    const exact = (await isExact(project, name)) ? ['--save-exact'] : [];
    await npm('install', ...QUIET, ...exact, `${name}@${version}`);
    const now = await integritiesIn(project, name);
    for (const [one, integrity] of compared) {
      if (now.get(one) === integrity) continue;
      const isTop = one === name;
      throw new LktError(
        'DIGEST_MISMATCH',
        `npm installed files of ${isTop ? `${name}@${version}` : one} that differ from the compared ones`,
        {
          fix: isTop
            ? 'run the command again'
            : `run: npm update ${one}, and then the command again`,
        },
      );
    }
  };
  return { from, to: version, fetch, files, apply, undo };
}

type Npm = (...words: readonly string[]) => Promise<string>;

/** The hash of the tarball that npm installed, by package. */
type Integrities = ReadonlyMap<string, unknown>;

/** Asks npm for the version of a tag or range; undefined without one. */
async function viewVersion(npm: Npm, name: string, wanted: string): Promise<unknown> {
  try {
    return parseNpm(await npm('view', `${name}@${wanted}`, 'version', '--json'), name);
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/**
 * Downloads a version, and unpacks it with the npm packages of its own collections. npm verifies
 * them.
 */
async function unpack(
  npm: Npm,
  name: string,
  version: string,
  temporary: string,
): Promise<{ readonly dir: string; readonly integrities: Integrities }> {
  const packed = parseNpm(
    await npm('pack', `${name}@${version}`, '--json', '--pack-destination', temporary, ...QUIET),
    name,
  );
  const [{ filename = '' } = {}] = packed as readonly { readonly filename?: string }[];
  const prefix = join(temporary, 'unpacked');
  await mkdir(prefix);
  const tarball = join(temporary, basename(filename));
  await npm('install', '--prefix', prefix, '--no-save', '--no-package-lock', ...QUIET, tarball);
  const dir = await realpath(join(prefix, 'node_modules', name));
  return { dir, integrities: await integritiesIn(prefix, name) };
}

/**
 * Returns the directory of the package.json that installs a package; undefined for a link, whose
 * target has its own owner.
 */
async function projectOf(root: string, name: string): Promise<string | undefined> {
  for (let dir = root; ; dir = dirname(dir)) {
    const found = await lstat(join(dir, 'node_modules', name)).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    });
    if (found?.isSymbolicLink() === true) return undefined;
    if (found !== undefined) return dir;
    if (dirname(dir) === dir) throw new Error(`${name} is not installed`);
  }
}

async function versionIn(dir: string): Promise<string> {
  const { version } = await json(join(dir, 'package.json'));
  return typeof version === 'string' ? version : 'of an unknown version';
}

/** Reports whether package.json names one version. */
async function isExact(project: string, name: string): Promise<boolean> {
  const { dependencies, devDependencies } = await json(join(project, 'package.json'));
  const listed = { ...record(dependencies), ...record(devDependencies) };
  const version = listed[name];
  return typeof version === 'string' && VERSION.test(version);
}

/** Returns the installed packages as another one resolves them: beside it, or below it. */
async function integritiesIn(project: string, name: string): Promise<Integrities> {
  const { packages } = await json(join(project, 'node_modules/.package-lock.json'));
  const found = new Map<string, unknown>();
  const own = `node_modules/${name}/node_modules/`;
  const sorted = Object.entries(record(packages)).toSorted(([a], [b]) => a.length - b.length);
  for (const [path, entry] of sorted) {
    const inner = path.startsWith(own) ? path.slice(own.length) : path.replace('node_modules/', '');
    if (!inner.includes('node_modules/')) found.set(inner, record(entry)['integrity']);
  }
  return found;
}

async function json(path: string): Promise<Readonly<Record<string, unknown>>> {
  const what = `${path} is not valid JSON`;
  return readJson(await readFile(path), record, { code: 'CONFIG_INVALID', what });
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
