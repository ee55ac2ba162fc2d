import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { formatReference, parseReference, type Reference } from '@lkt/oci';
import {
  type BuildOptions,
  buildPackages,
  type ForeignImages,
  type Package,
  type PinChange,
  pinOf,
  pinWorkspace,
  publishedReference,
  type Workspace,
} from '@lkt/pkg';
import { type ConfigFile, loadConfig, type LoadedConfig } from '../config/load-config.ts';
import { lockPathOf } from '../config/lock.ts';
import { packageNames } from '../config/pin-config.ts';
import type { TrustOptions } from '../trust/check-images.ts';
import { filesOf, otherPins, wantedFrom, writeConfigPins } from './config-pins.ts';
import { verifiedTools } from './verified-tools.ts';

/** Packages and configs whose references are pinned. */
export interface PinTargets extends ForeignImages {
  readonly packages: readonly Package[];
  readonly configs: readonly ConfigFile[];
  /** Values of variables. */
  readonly set?: ReadonlyMap<string, string>;
  /**
   * Leave the configs and Dockerfiles as they are, and write digests into lock files beside the
   * configs. By default, only configs that have a lock file keep their digests there.
   */
  readonly intoLocks?: boolean;
  /**
   * Policies for the images of the configs and of their packages, with those of the configs. An
   * image that they refuse is neither pinned, pulled nor built on. By default, only those of the
   * build options apply.
   */
  readonly trust?: TrustOptions;
  /** Fail if no trust policy applies to the configs. */
  readonly requirePolicy?: boolean;
  /** Receives each change when its file is written; those stay if a build fails. */
  readonly onWritten?: (change: PinChange) => void;
}

/**
 * Pins Dockerfiles and image configs to the current packages of the workspace: builds the packages
 * and their dependencies in order, then writes tag and digest into each reference, or into the lock
 * file of the config. Idempotent.
 * @returns the changes in writing order
 * @throws LktError USAGE_INVALID for a config without a file; SIGNATURE_INVALID for an image that
 * `trust` refuses; the errors of `pinWorkspace` and `resolveTag`
 */
export async function pin(
  workspace: Workspace,
  targets: PinTargets,
  options: BuildOptions,
): Promise<readonly PinChange[]> {
  const { intoLocks = false, onWritten } = targets;
  const foreign = { ...targets, resolveTag: once(targets.resolveTag) };
  const { loaded, named } = await readTargets(workspace, targets);
  const others = await otherPins(workspace, loaded, foreign);
  const wanted = new Set(targets.packages);
  for (const item of named.values()) if (publishedReference(item) === undefined) wanted.add(item);
  const changes: PinChange[] = [];
  let pins: ReadonlyMap<string, string>;
  const tools = await verifiedTools(workspace, { ...targets, loaded, others }, options);
  if (intoLocks) {
    const report = await buildPackages(workspace, [...wanted], tools);
    pins = new Map(
      report.packages.map((built) => [
        built.item.name,
        pinOf(built) ?? `${built.item.name}@${built.index.digest}`,
      ]),
    );
  } else {
    const report = await pinWorkspace(workspace, [...wanted], tools, foreign, onWritten);
    changes.push(...report.changes);
    pins = report.references;
  }
  const current = wantedFrom(pinsByName(named, pins), others);
  const { changes: inConfigs } = await writeConfigPins(loaded, current, intoLocks);
  for (const change of inConfigs) onWritten?.(change);
  return [...changes, ...inConfigs];
}

/** Loaded configs, and the packages of the workspace that they name. */
interface ReadTargets {
  readonly loaded: readonly LoadedConfig[];
  /** By `org/image` as in the configs. */
  readonly named: ReadonlyMap<string, Package>;
}

/** @throws LktError USAGE_INVALID for a config without a file */
export async function readTargets(
  workspace: Workspace,
  { configs, set, intoLocks = false }: Pick<PinTargets, 'configs' | 'intoLocks' | 'set'>,
): Promise<ReadTargets> {
  const [unnamed] = configs.filter(({ isRemote, isStream }) => isRemote ?? isStream ?? false);
  if (unnamed !== undefined)
    throw new LktError(
      'USAGE_INVALID',
      `${unnamed.path} is not a regular file, so no pins can be written`,
      { fix: 'save it to a file' },
    );
  // The configs of a build make one image; other configs may be unrelated.
  const groups = intoLocks ? [configs] : configs.map((file) => [file]);
  const loaded = await Array.fromAsync(groups, async (files) => loadConfig(files, { set }));
  const named = new Map<string, Package>();
  for (const name of loaded.flatMap(({ config }) => packageNames(config))) {
    const item = workspace.find(parseReference(name));
    if (item !== undefined) named.set(name, item);
  }
  return { loaded, named };
}

/** Asks for each tag once, so that all files get the same digest. */
export function once(resolveTag: ForeignImages['resolveTag']): ForeignImages['resolveTag'] {
  const known = new Map<string, Promise<string>>();
  return async (reference: Reference) => {
    const key = formatReference(reference);
    const found = known.get(key) ?? resolveTag(reference);
    known.set(key, found);
    return found;
  };
}

/** Returns the pin of each name: of an own package, if it overrides the name. */
function pinsByName(
  named: ReadonlyMap<string, Package>,
  pins: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const found = new Map(pins);
  for (const [name, item] of named) {
    const current = publishedReference(item) ?? pins.get(item.name);
    if (current !== undefined) found.set(name, `${name}${current.slice(item.name.length)}`);
  }
  return found;
}

/** Returns the absolute paths of the files that `pin` may write. */
export async function pinnedFiles(
  workspace: Workspace,
  { packages, configs, set }: Pick<PinTargets, 'configs' | 'packages' | 'set'>,
): Promise<readonly string[]> {
  const loaded = await Array.fromAsync(configs, async (file) => loadConfig([file], { set }));
  return [
    ...packages.flatMap((item) => [
      join(item.dir, workspace.buildYml),
      join(item.dir, item.dockerfile),
    ]),
    ...filesOf(loaded).flatMap(({ file: { absolute } }) => [absolute, lockPathOf(absolute)]),
  ];
}
