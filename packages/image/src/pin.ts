import { join } from 'node:path';
import { type Digest, LktError } from '@lkt/core';
import { parseReference, type Reference } from '@lkt/oci';
import {
  type BuildOptions,
  buildPackages,
  type Package,
  type PinChange,
  pinOf,
  pinWorkspace,
  publishedReference,
  type Workspace,
  writeFileAtomic,
} from '@lkt/pkg';
import { lockPathOf } from './config/lock.ts';
import { imageReferencesOf } from './config/config.ts';
import { locatedAsync } from './config/fields.ts';
import { type ConfigFile, loadConfig, type LoadedConfig } from './config/load-config.ts';
import { packageNames, pinConfig } from './config/pin-config.ts';
import { pinLock } from './config/pin-lock.ts';

export interface PinTargets {
  readonly packages: readonly Package[];
  readonly configs: readonly ConfigFile[];
  /** Report stale pins as errors instead of writing. */
  readonly check: boolean;
  /** Resolves the tag of an external image. */
  readonly resolveTag: (reference: Reference) => Promise<Digest>;
  /** Resolve references that already have a digest. */
  readonly update?: boolean;
  /** Values of variables. */
  readonly set?: ReadonlyMap<string, string>;
  /**
   * Leave the configs and Dockerfiles as they are, and write digests into lock files beside the
   * configs. By default, only configs that have a lock file keep their digests there.
   */
  readonly intoLocks?: boolean;
}

/**
 * Pins Dockerfiles and image configs to the current packages of the workspace: builds the packages
 * and their dependencies in order, then writes tag and digest into each reference, or into the lock
 * file of the config. Idempotent.
 * @returns the changes in writing order
 * @throws LktError PIN_STALE with `check`; UNSUPPORTED for a config without a file; the errors of
 * `pinWorkspace` and `resolveTag`
 */
export async function pin(
  workspace: Workspace,
  targets: PinTargets,
  options: BuildOptions,
): Promise<readonly PinChange[]> {
  const { packages, configs, check, set, intoLocks = false } = targets;
  const [unnamed] = configs.filter(({ isRemote, isStream }) => isRemote ?? isStream ?? false);
  if (unnamed !== undefined)
    throw new LktError(
      'USAGE_INVALID',
      `${unnamed.path} is not a regular file, so no pins can be written`,
      { fix: 'save it to a file' },
    );
  // Those of a build are one image; others may not belong together.
  const groups = intoLocks ? [configs] : configs.map((file) => [file]);
  const loaded = await Array.fromAsync(groups, async (files) => loadConfig(files, { set }));
  const others = await otherPins(workspace, loaded, targets);
  const named = new Map<string, Package>();
  for (const name of loaded.flatMap(({ config }) => packageNames(config))) {
    const item = workspace.find(parseReference(name));
    if (item !== undefined) named.set(name, item);
  }
  const wanted = new Set(packages);
  for (const item of named.values()) if (publishedReference(item) === undefined) wanted.add(item);
  const changes: PinChange[] = [];
  let pins: ReadonlyMap<string, string>;
  if (check || intoLocks) {
    const report = await buildPackages(workspace, [...wanted], options);
    pins = new Map(
      report.packages.map((built) => [
        built.item.name,
        pinOf(built) ?? (intoLocks ? `${built.item.name}@${built.index.digest}` : ''),
      ]),
    );
  } else {
    const report = await pinWorkspace(workspace, [...wanted], options);
    changes.push(...report.changes);
    pins = report.references;
  }
  const write = check ? findPins : writePins;
  const configPins = await write(loaded, pinsByName(named, pins), others, intoLocks);
  changes.push(...configPins.changes);
  if (check && changes.length > 0) throw stale(changes);
  return changes;
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

/** References of image configs that are not current, and the files with the current ones. */
export interface ConfigPins {
  readonly changes: readonly PinChange[];
  readonly files: readonly { readonly before: ConfigFile; readonly after: ConfigFile }[];
}

/**
 * Writes pins into loaded configs and their includes, or their lock files.
 * @param pins as for `pinConfig`
 * @param others as for `pinConfig`
 * @param intoLocks use lock files also for configs without one
 */
export async function writePins(
  loaded: readonly LoadedConfig[],
  pins: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string>,
  intoLocks = false,
): Promise<ConfigPins> {
  const found = findPins(loaded, pins, others, intoLocks);
  for (const { before, after } of found.files) {
    if (after.lock !== undefined) await writeFileAtomic(after.lock.absolute, after.lock.text);
    if (after.text !== before.text) await writeFileAtomic(after.absolute, after.text);
  }
  return found;
}

function findPins(
  loaded: readonly LoadedConfig[],
  pins: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string>,
  intoLocks: boolean,
): ConfigPins {
  const changes: PinChange[] = [];
  const files: ConfigPins['files'][number][] = [];
  for (const { file, loaded: one } of filesOf(loaded)) {
    const { config, locks } = one;
    const hasLock = intoLocks || locks.has(file);
    // `lkt build --pin` writes only lock files.
    const pinned = intoLocks ? undefined : pinConfig(file, config, pins, others, { hasLock });
    const lock = hasLock ? pinLock(file, config, one, pins, others) : undefined;
    const { changes: made = [], text = file.text } = pinned ?? {};
    if (made.length === 0 && lock === undefined) continue;
    changes.push(...made.map((change) => ({ file: file.path, ...change })));
    changes.push(...(lock?.changes.map((change) => ({ file: lock.after.path, ...change })) ?? []));
    files.push({
      before: { ...file, ...(lock?.before && { lock: lock.before }) },
      after: { ...file, text, ...(lock && { lock: lock.after }) },
    });
  }
  return { changes, files };
}

/** Returns the pins of external images by reference as written. */
export async function otherPins(
  workspace: Workspace,
  loaded: readonly LoadedConfig[],
  { resolveTag, update = false }: Pick<PinTargets, 'resolveTag' | 'update'>,
): Promise<ReadonlyMap<string, string>> {
  const pins = new Map<string, string>();
  for (const { text, reference, at } of loaded.flatMap(({ config }) => imageReferencesOf(config))) {
    if (reference === undefined || pins.has(text) || workspace.find(reference) !== undefined)
      continue;
    const { digest, tag, ...name } = reference;
    // A digest without a tag is pinned on purpose.
    if (digest !== undefined && (!update || tag === undefined)) continue;
    const now = await locatedAsync(at, async () => resolveTag({ ...name, tag: tag ?? 'latest' }));
    const written = text.split('@')[0] ?? text;
    pins.set(text, `${tag === undefined ? `${written}:latest` : written}@${now}`);
  }
  return pins;
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

/** Returns every file once, even if several configs include it. */
function filesOf(
  loaded: readonly LoadedConfig[],
): readonly { readonly file: ConfigFile; readonly loaded: LoadedConfig }[] {
  const files = new Map<string, { readonly file: ConfigFile; readonly loaded: LoadedConfig }>();
  for (const one of loaded)
    for (const file of one.files)
      if (!files.has(file.absolute)) files.set(file.absolute, { file, loaded: one });
  return [...files.values()];
}

function stale(changes: readonly PinChange[]): LktError {
  const lines = changes.map(
    ({ file, line, from, to }) => `  ${file}:${line}: ${from}\n    is now ${to}`,
  );
  const what = changes.length === 1 ? '1 pin is' : `${changes.length} pins are`;
  return new LktError('PIN_STALE', `${what} stale`, {
    detail: lines.join('\n'),
    fix: 'run: lkt pin',
  });
}
