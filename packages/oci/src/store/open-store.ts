import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { readLayoutIndex, writeLayoutIndex } from './layout-index.ts';
import { withLockAt } from './lock.ts';
import { type KeySource, SealedFiles } from './sealed-files.ts';
import { Store } from './store.ts';
import { storeError } from './store-error.ts';
import { makeDirectories } from '../io/files.ts';
import { sweep, writeAtomically } from '../io/temp.ts';
import { WRITER_PREFIX } from './writers.ts';

/** Options of opening a store. */
export interface OpenOptions {
  /** Default: true. */
  readonly create?: boolean;
  /** Key of its sealed files. Default: a key of this process. */
  readonly key?: KeySource;
  /** Directories of the store whose sealed files count as missing, except those written here. */
  readonly ignored?: readonly string[];
}

/**
 * Opens the store at `dir`, creating it unless `create` is false. Opening writes nothing to an
 * existing store except the removal of dead processes' files, so it may be read-only.
 * @throws NOT_FOUND; UNSUPPORTED for a layout of a later version; IO_FAILED for a directory with
 * other content
 * @example
 * ```ts
 * const store = await openStore(join(homedir(), '.lkt/cache'));
 * ```
 */
export async function openStore(
  dir: string,
  { create = true, key, ignored }: OpenOptions = {},
): Promise<Store> {
  if (!(await isLayout(dir))) {
    if (!create) throw new LktError('NOT_FOUND', `no store at ${dir}`);
    await createLayout(dir);
  }
  await sweep(join(dir, 'tmp'));
  await sweep(join(dir, 'locks'), WRITER_PREFIX);
  return new Store(dir, new SealedFiles(dir, key, ignored));
}

async function isLayout(dir: string): Promise<boolean> {
  const path = join(dir, 'oci-layout');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw storeError(`cannot open the store at ${dir}`, error);
  }
  if (/"imageLayoutVersion"\s*:\s*"1\.0\.\d+"/.test(text)) return true;
  throw new LktError('UNSUPPORTED', `${path} does not declare version 1.0 of OCI layouts`, {
    fix: `if lkt made this store, write it again: echo '{"imageLayoutVersion":"1.0.0"}' > ${path}`,
  });
}

/**
 * Files that may precede a store: leftovers of an interrupted or concurrent creation, the code that
 * Node compiled when lkt started, and the result of the attempt with KVM.
 */
const ACCEPTED = ['tmp', 'oci-layout', 'compiled', 'kvm.json'];

async function createLayout(dir: string): Promise<void> {
  try {
    await makeDirectories(dir);
    const foreign = (await readdir(dir)).find((name) => !ACCEPTED.includes(name));
    if (foreign !== undefined && !(await isLayout(dir))) {
      throw new LktError('IO_FAILED', `${dir} is not a store: it contains ${foreign}`, {
        fix: 'use an empty or new directory',
      });
    }
    await writeAtomically(join(dir, 'tmp'), async (file) => {
      await file.writeFile('{"imageLayoutVersion":"1.0.0"}\n');
      return join(dir, 'oci-layout');
    });
    await mkdir(join(dir, 'blobs', 'sha256'), { recursive: true });
    await withLockAt(join(dir, 'locks', 'index.lock'), async () => {
      const { document, entries } = await readLayoutIndex(dir);
      await writeLayoutIndex(dir, document, entries);
    });
  } catch (error) {
    throw storeError(`cannot create a store at ${dir}`, error);
  }
}
