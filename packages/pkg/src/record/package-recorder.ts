import { join } from 'node:path';
import { digestOf, type Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { BuiltPackage } from '../build/built-package.ts';
import { BUILD_YML } from '../workspace/package-dirs.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { Recorder, type RecordLocation } from './recorder.ts';

/**
 * Notes what a build of packages looks at that has nothing to do, for `findRecord`: the sources of what is built, and
 * the build.yml of each package of the workspace, since any of them may be what a reference names.
 */
export class PackageRecorder {
  /** What the build says goes through this. */
  readonly reporter: Reporter;
  readonly #recorder: Recorder;
  readonly #store: Store;

  constructor(location: RecordLocation, store: Store, reporter: Reporter) {
    this.#recorder = new Recorder(location, store, reporter);
    this.#store = store;
    this.reporter = this.#recorder.reporter;
  }

  /**
   * Writes the record, if there is to be one.
   * @param named the directories of packages that were asked for, as they were found: there is no record of a way to them
   * that leads over symlinks
   */
  async finish(
    workspace: Workspace,
    named: readonly string[],
    built: readonly BuiltPackage[],
    result: object,
  ): Promise<void> {
    if (!built.every(({ cached }) => cached)) return;
    if (!named.every((dir) => workspace.byDir.has(dir))) return;
    const known = [...workspace.packages.values()].map(
      ({ dir, file }) => [join(dir, BUILD_YML), digestOf(file.text)] as const,
    );
    // What is found in the store is checked against its digest, the next time too.
    const manifests = built.flatMap(({ index, images }) =>
      [index, ...images].map(({ digest }) => [this.#store.blobPath(digest), digest] as const),
    );
    const seen = built.map(({ item }) => item);
    await this.#recorder.finish(
      { workspace, seen, built, result },
      new Map([...known, ...manifests]),
    );
  }
}
