import { join } from 'node:path';
import { LktError, type ProgressEvent, type Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { BuiltPackage } from '../build/built-package.ts';
import { TRUST_FILES } from '../workspace/trust-file.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { fileState } from './file-state.ts';
import type { CommandRecord } from './seen.ts';
import { sourceDirs } from './source-dirs.ts';
import { hashIn, sourceState } from './source-state.ts';

/** Where a record is kept of a command, and what it depends on besides files. */
export interface RecordLocation {
  /** The file; whatever it does not depend on otherwise is in its name. */
  readonly path: string;
  /** Where the workspace is opened. */
  readonly start: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What there is to record at the end. */
export interface Recordable<Result> {
  readonly workspace: Workspace;
  /** The packages whose sources were looked at. */
  readonly seen: Iterable<Package>;
  /** What was built or found, all of it of sources that were looked at. */
  readonly built: readonly BuiltPackage[];
  readonly result: Result;
}

/**
 * Notes what a command looks at, for `findRecord`. Leaves no record of what it does not see through: sources that are
 * not committed, a policy for signatures, anything that changed meanwhile, and warnings, which want to be said again.
 */
export class Recorder {
  /** What the command says goes through this. */
  readonly reporter: Reporter;
  readonly #location: RecordLocation;
  readonly #store: Store;
  readonly #events: ProgressEvent[] = [];
  readonly #before: ReadonlyMap<string, string | undefined>;

  /** @param files that are looked at, besides sources and the names in the store */
  constructor(
    location: RecordLocation,
    store: Store,
    reporter: Reporter,
    files: Iterable<string> = [],
  ) {
    this.#location = location;
    this.#store = store;
    this.#before = statesOf([...files, join(store.dir, 'index.json')]);
    this.reporter = {
      emit: (event) => {
        this.#events.push(event);
        reporter.emit(event);
      },
    };
  }

  /**
   * Writes the record, if there is to be one.
   * @param files that must be in these states too
   */
  async finish<Result>(
    { workspace, seen, built, result }: Recordable<Result>,
    files: ReadonlyMap<string, string> = new Map(),
  ): Promise<void> {
    const { start, env } = this.#location;
    if (this.#events.some(({ kind }) => kind !== 'start' && kind !== 'done' && kind !== 'total'))
      return;
    if (workspace.problems.length > 0) return;
    const sources = sourceState(start, [...seen].flatMap(sourceDirs), env);
    if (sources === undefined || sources.top !== workspace.gitTop) return;
    // What was built is what is there now.
    const isSame = ({ item, hash }: BuiltPackage): boolean =>
      !hash.dirty && hash.committed === hashIn(sources, sourceDirs(item));
    if (!built.every(isSame)) return;
    const absent = TRUST_FILES.map((name) => [join(sources.top, name), 'absent'] as const);
    const wanted = new Map([...this.#before, ...files, ...absent]);
    const states: Record<string, string> = {};
    for (const [file, state] of statesOf(wanted.keys())) {
      if (state === undefined || state !== wanted.get(file)) return;
      states[file] = state;
    }
    await this.#write({
      files: states,
      sources,
      used: [...this.#store.used],
      events: this.#events.map((event) =>
        event.kind === 'done' ? { ...event, cached: true } : event,
      ),
      result,
    });
  }

  async #write(record: CommandRecord<unknown>): Promise<void> {
    try {
      await this.#store.putFile(this.#location.path, JSON.stringify(record));
    } catch (error) {
      // A store that cannot be written to has none.
      if (!(error instanceof LktError)) throw error;
    }
  }
}

function statesOf(files: Iterable<string>): ReadonlyMap<string, string | undefined> {
  return new Map([...files].map((file) => [file, fileState(file)]));
}
