import type { Store } from '@lkt/oci';
import {
  type ActionInputs,
  containingDirs,
  type FileState,
  noTrustFiles,
  storeState,
  type Workspace,
} from '@lkt/pkg';
import type { ComposeOptions } from './compose-options.ts';
import { inputStates, type LoadedConfig } from './config/load-config.ts';
import { namedFile } from './tree/host-files.ts';

/** States of the files that an image build reads, from before the build. */
export type FilesBefore = ReadonlyMap<string, FileState | undefined>;

/**
 * Returns the states of the files that a build of these configs reads, for the action cache;
 * undefined if an input cannot be tracked: a config that is remote or a symlink, a policy, a
 * directory or glob in `files`.
 */
export function filesBefore(
  loaded: LoadedConfig,
  { store, homeDir, audit }: Pick<ComposeOptions, 'store' | 'homeDir' | 'audit'>,
): FilesBefore | undefined {
  const { config, files } = loaded;
  // A symlink may get another target, with the same content below another policy.
  for (const { absolute, isRemote } of files)
    if (isRemote === true || containingDirs(absolute).length > 1) return undefined;
  if (config.trust.some(({ rules, trustedRoot }) => rules.length > 0 || trustedRoot !== undefined))
    return undefined;
  const paths = new Set(audit?.inputs);
  for (const { content } of config.files) {
    if (content.kind !== 'source') continue;
    const path = namedFile(content, homeDir);
    if (path === undefined) return undefined;
    paths.add(path);
  }
  return new Map([...inputStates(loaded), ...storeState(store, paths)]);
}

/**
 * Returns the inputs of an image build, for the action cache.
 * @param hashes of the packages that were read
 * @param before states of other files from before the build
 * @param dirs directories of the configs
 */
export function imageInputs(
  workspace: Workspace,
  hashes: ActionInputs['hashes'],
  store: Store,
  before: FilesBefore,
  dirs: readonly string[] = [],
): ActionInputs {
  return {
    workspace,
    hashes,
    files: new Map([...before, ...noTrustFiles(workspace, dirs)]),
    storePaths: store.used,
  };
}
