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
  const found = parseNpm(await npm('view', `${name}@${wanted}`, 'version', '--json'), name);
  const version = typeof found === 'string' ? found : '';
  if (!VERSION.test(version))
    throw new LktError('NOT_FOUND', `npm has no version ${wanted} of ${name}`, {
      fix: `list them: npm view ${name} versions`,
    });
  const files = ['package.json', 'package-lock.json'].map((file) => join(project, file));
  const undo = async (): Promise<void> => void (await npm('install', ...QUIET));
  let compared: string | undefined;
  const fetch = async (temporary: string): Promise<string> => {
    const { dir, integrity } = await unpack(npm, name, version, temporary);
    compared = integrity;
    return dir;
  };
  const apply = async (): Promise<void> => {
    const exact = (await isExact(project, name)) ? ['--save-exact'] : [];
    await npm('install', ...QUIET, ...exact, `${name}@${version}`);
    const now = await lockedIntegrity(project, name);
    if (now !== compared)
      throw new LktError(
        'DIGEST_MISMATCH',
        `npm installed other files of ${name}@${version} than those that were compared`,
        { fix: 'run the command again' },
      );
  };
  return { from, to: version, fetch, files, apply, undo };
}

type Npm = (...words: readonly string[]) => Promise<string>;

/** Downloads a version and unpacks it with npm, which verifies it. */
async function unpack(
  npm: Npm,
  name: string,
  version: string,
  temporary: string,
): Promise<{ readonly dir: string; readonly integrity: string }> {
  const packed = parseNpm(
    await npm('pack', `${name}@${version}`, '--json', '--pack-destination', temporary, ...QUIET),
    name,
  );
  const [{ filename = '', integrity = '' } = {}] = packed as readonly {
    readonly filename?: string;
    readonly integrity?: string;
  }[];
  const prefix = join(temporary, 'unpacked');
  await mkdir(prefix);
  const tarball = join(temporary, basename(filename));
  await npm(
    'install',
    '--prefix',
    prefix,
    '--no-save',
    '--no-package-lock',
    '--offline',
    ...QUIET,
    tarball,
  );
  return { dir: await realpath(join(prefix, 'node_modules', name)), integrity };
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

async function lockedIntegrity(project: string, name: string): Promise<unknown> {
  const { packages } = await json(join(project, 'node_modules/.package-lock.json'));
  return record(record(packages)[`node_modules/${name}`])['integrity'];
}

async function json(path: string): Promise<Readonly<Record<string, unknown>>> {
  const what = `${path} is not valid JSON`;
  return readJson(await readFile(path), record, { code: 'CONFIG_INVALID', what });
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
