import type { Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { Recorder, type RecordLocation, type Workspace } from '@lkt/pkg';
import type { AuditHook } from './audit/audit-hook.ts';
import type { BuiltImage } from './built-image.ts';
import type { LoadedConfig } from './config/load-config.ts';
import { namedFile } from './tree/host-files.ts';
import type { RecordedImage } from './unchanged.ts';

/**
 * Notes what a build of an image looks at, for `findUnchanged`. Leaves no record of what it does not see through: besides
 * what `Recorder` leaves out, policies that ask for signatures, and directories of this machine.
 */
export class BuildRecorder {
  readonly #recorder: Recorder;

  private constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** undefined where there will be no record. */
  static start(
    place: RecordLocation,
    { config, files }: LoadedConfig,
    {
      store,
      reporter,
      homeDir,
      audit,
    }: {
      readonly store: Store;
      readonly reporter: Reporter;
      readonly homeDir?: string | undefined;
      readonly audit?: AuditHook | undefined;
    },
  ): BuildRecorder | undefined {
    if (files.some(({ isRemote }) => isRemote === true)) return undefined;
    if (
      config.trust.some(({ rules, trustedRoot }) => rules.length > 0 || trustedRoot !== undefined)
    )
      return undefined;
    const seen = new Set([...files.map(({ absolute }) => absolute), ...(audit?.inputs ?? [])]);
    for (const { content } of config.files) {
      if (content.kind !== 'source') continue;
      const named = namedFile(content, homeDir);
      if (named === undefined) return undefined;
      seen.add(named);
    }
    return new BuildRecorder(new Recorder(place, store, reporter, seen));
  }

  /** What the build says goes through this. */
  get reporter(): Reporter {
    return this.#recorder.reporter;
  }

  /** Writes the record, if there is to be one. */
  async finish(workspace: Workspace, image: BuiltImage): Promise<void> {
    const result: RecordedImage = {
      files: image.files,
      minimumMemory: image.minimumMemory,
      trust: image.trust,
      variables: Object.fromEntries(image.variables),
      audit: image.audit,
    };
    const seen = workspace.packages.values();
    await this.#recorder.finish({ workspace, seen, built: image.packages, result });
  }
}
