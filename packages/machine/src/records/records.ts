import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { PublishedPort } from '../published-port.ts';
import { ConsoleLog } from './console-log.ts';
import { ownProcessId, type ProcessId, stateOf } from './process-id.ts';

/** A running machine. */
export interface MachineRecord {
  /** Unique among the running machines when it started. */
  readonly name: string;
  /** Directory of the record, with the console log. */
  readonly dir: string;
  /** The process that ends with the machine. */
  readonly process: ProcessId;
  /** Start, in ISO 8601. */
  readonly started: string;
  readonly ports: readonly PublishedPort[];
  /** Names of the services; undefined if unknown. */
  readonly services?: readonly string[];
}

/** The record of a machine that this process runs. Disposing removes it. */
export interface OpenRecord extends AsyncDisposable {
  readonly record: MachineRecord;
  readonly log: ConsoleLog;
}

const FILE = 'machine.json';
/** A record without file is about to be written for at most this time. */
const WRITING_MS = 60_000;
const MAX_NAMES = 1000;

/**
 * The records of running machines: a directory for each, which only the user can read. A record
 * whose process has ended without removing it is removed when the records are listed.
 */
export class MachineRecords {
  readonly #dir: string;

  /** @param dir created with the first record */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Writes the record of a machine that this process runs.
   * @param machine its wanted name; a machine of that name gives it a number, `NAME-2`
   * @throws IO_FAILED if the directory belongs to another user, or cannot be written
   */
  async create(machine: Pick<MachineRecord, 'name' | 'ports' | 'services'>): Promise<OpenRecord> {
    try {
      return await this.#create(machine);
    } catch (cause) {
      if (cause instanceof LktError || !isErrno(cause, ...UNWRITABLE)) throw cause;
      throw new LktError('IO_FAILED', `cannot write ${this.#dir}`, { cause });
    }
  }

  async #create(machine: Pick<MachineRecord, 'name' | 'ports' | 'services'>): Promise<OpenRecord> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await requireOwn(this.#dir);
    const taken = new Set((await this.list()).map(({ name }) => name));
    const name = unusedName(machine.name, taken);
    const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 64);
    const dir = await mkdtemp(join(this.#dir, `${plain}-`));
    const record: MachineRecord = {
      ...machine,
      name,
      dir,
      process: ownProcessId(),
      started: new Date().toISOString(),
    };
    const { dir: _, ...written } = record;
    const log = new ConsoleLog(dir);
    await writeFile(join(dir, `${FILE}.new`), `${JSON.stringify(written)}\n`, { mode: 0o600 });
    await rename(join(dir, `${FILE}.new`), join(dir, FILE));
    return {
      record,
      log,
      [Symbol.asyncDispose]: async () => {
        log.close();
        await rm(dir, { recursive: true, force: true });
      },
    };
  }

  /** Returns the running machines by name, and removes the records of others. */
  async list(): Promise<readonly MachineRecord[]> {
    const records: MachineRecord[] = [];
    for (const name of await namesIn(this.#dir)) {
      const dir = join(this.#dir, name);
      const record = await readRecord(dir);
      const state = record === undefined ? await unwritten(dir) : stateOf(record.process);
      if (state === 'ended') await rm(dir, { recursive: true, force: true });
      else if (state === 'running' && record !== undefined) records.push(record);
    }
    return records.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}

const UNWRITABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG'];

/** Others must not replace a record, whose known_hosts decides which key a login trusts. */
async function requireOwn(dir: string): Promise<void> {
  const { uid, mode } = await lstat(dir);
  if (uid === process.getuid?.() && (mode & 0o022) === 0) return;
  throw new LktError('IO_FAILED', `${dir} belongs to another user, or others may write to it`, {
    fix: 'remove it, or set XDG_RUNTIME_DIR to a directory of your own',
  });
}

function unusedName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  for (let number = 2; number < MAX_NAMES; number += 1)
    if (!taken.has(`${wanted}-${number}`)) return `${wanted}-${number}`;
  throw new LktError('RUN_FAILED', `${MAX_NAMES} machines have the name ${wanted}`);
}

async function namesIn(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw error;
  }
}

/** Returns a record; undefined if it is missing or malformed. */
async function readRecord(dir: string): Promise<MachineRecord | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(join(dir, FILE), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
  return isRecord(value) ? { ...value, dir } : undefined;
}

function isRecord(value: unknown): value is Omit<MachineRecord, 'dir'> {
  if (typeof value !== 'object' || value === null) return false;
  const { name, process: id, started, ports } = value as Partial<MachineRecord>;
  return (
    typeof name === 'string' &&
    typeof started === 'string' &&
    Array.isArray(ports) &&
    typeof id === 'object' &&
    Number.isSafeInteger(id.pid) &&
    [id.start, id.boot, id.namespace, id.host].every((text) => typeof text === 'string')
  );
}

/** Reports whether a directory without a record was left by a process that ended. */
async function unwritten(dir: string): Promise<'ended' | 'unknown'> {
  try {
    const { mtimeMs } = await lstat(dir);
    return Date.now() - mtimeMs > WRITING_MS ? 'ended' : 'unknown';
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'unknown';
    throw error;
  }
}
