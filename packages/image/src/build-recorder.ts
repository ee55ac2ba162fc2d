import { realpathSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LktError, type ProgressEvent, type Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { type BuiltPackage, type Package, TRUST_FILES, type Workspace } from '@lkt/pkg';
import { hashIn, sourceState } from '@lkt/pkg/source-state';
import type { BuiltImage } from './build-image.ts';
import type { LoadedConfig } from './config/load-config.ts';
import { fileState } from './file-state.ts';
import { ioError } from './io-error.ts';
import { namedFile } from './tree/host-files.ts';
import type { BuildRecord } from './unchanged.ts';

/** Where a record is kept of a build, and what it depends on besides the configs. */
export interface RecordPlace {
  /** The file; whatever it does not depend on otherwise is in its name. */
  readonly path: string;
  /** Where the workspace is opened. */
  readonly start: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Notes what a build looks at, for `findUnchanged`. Leaves no record of what it does not see through: policies that ask
 * for signatures, sources that are not committed, directories of this machine, anything that changed meanwhile, and
 * warnings, which want to be said again.
 */
export class BuildRecorder {
  /** What the build says goes through this. */
  readonly reporter: Reporter;
  readonly #place: RecordPlace;
  readonly #store: Store;
  readonly #events: ProgressEvent[] = [];
  readonly #before: ReadonlyMap<string, string | undefined>;

  private constructor(place: RecordPlace, store: Store, reporter: Reporter, files: Set<string>) {
    this.#place = place;
    this.#store = store;
    this.#before = statesOf(files);
    this.reporter = {
      emit: (event) => {
        this.#events.push(event);
        reporter.emit(event);
      },
    };
  }

  /** undefined where there will be no record. */
  static start(
    place: RecordPlace,
    { config, files }: LoadedConfig,
    {
      store,
      reporter,
      homeDir,
    }: {
      readonly store: Store;
      readonly reporter: Reporter;
      readonly homeDir?: string | undefined;
    },
  ): BuildRecorder | undefined {
    if (files.some(({ isRemote }) => isRemote === true)) return undefined;
    if (
      config.trust.some(({ rules, trustedRoot }) => rules.length > 0 || trustedRoot !== undefined)
    )
      return undefined;
    const seen = new Set([...files.map(({ absolute }) => absolute), join(store.dir, 'index.json')]);
    for (const { content } of config.files) {
      if (content.kind !== 'source') continue;
      const named = namedFile(content, homeDir);
      if (named === undefined) return undefined;
      seen.add(named);
    }
    return new BuildRecorder(place, store, reporter, seen);
  }

  /** Writes the record, if there is to be one. */
  async finish(workspace: Workspace, image: BuiltImage): Promise<void> {
    const { start, env, path } = this.#place;
    if (this.#events.some(({ kind }) => kind !== 'start' && kind !== 'done' && kind !== 'total'))
      return;
    const dirs = [...workspace.packages.values()].flatMap(dirsOf);
    const sources = sourceState(start, dirs, env);
    if (sources === undefined || sources.top !== workspace.gitTop) return;
    // What was built is what is there now.
    const isSame = ({ item, hash }: BuiltPackage): boolean =>
      !hash.dirty && hash.committed === hashIn(sources, dirsOf(item));
    if (!image.packages.every(isSame)) return;
    const absent = TRUST_FILES.map((name) => join(sources.top, name));
    const files = statesOf([...this.#before.keys(), ...absent]);
    if (absent.some((file) => files.get(file) !== 'absent')) return;
    for (const [file, state] of files)
      if (state === undefined || (this.#before.has(file) && this.#before.get(file) !== state))
        return;
    const record: BuildRecord = {
      files: Object.fromEntries(files) as Record<string, string>,
      sources,
      used: [...this.#store.used],
      events: this.#events.map((event) =>
        event.kind === 'done' ? { ...event, cached: true } : event,
      ),
      result: {
        files: image.files,
        ...(image.minimumMemory === undefined ? {} : { minimumMemory: image.minimumMemory }),
        trust: image.trust,
        variables: Object.fromEntries(image.variables),
      },
    };
    try {
      await mkdir(dirname(path), { recursive: true });
      await using temp = await this.#store.tempDir();
      // No fsync: what a crash cuts off is no record.
      await writeFile(join(temp.path, 'record'), JSON.stringify(record));
      await rename(join(temp.path, 'record'), path);
    } catch (error) {
      // A store that cannot be written to has none.
      if (!(ioError('', error) instanceof LktError)) throw error;
    }
  }
}

function statesOf(files: Iterable<string>): ReadonlyMap<string, string | undefined> {
  return new Map([...files].map((file) => [file, fileState(file)]));
}

function dirsOf({ dir, extraSources }: Package): readonly string[] {
  return [dir, ...extraSources.map(({ source }) => realpathSync(source))];
}
