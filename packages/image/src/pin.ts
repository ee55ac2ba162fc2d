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
import { imageReferencesOf, type SystemConfig } from './config/config.ts';
import { errorAt, locatedAsync } from './config/fields.ts';
import { type ConfigFile, loadConfig, type LoadedConfig } from './config/load-config.ts';
import { packageNames, pinConfig } from './config/pin-config.ts';

export interface PinTargets {
  readonly packages: readonly Package[];
  readonly configs: readonly ConfigFile[];
  /** Report stale pins as errors instead of writing. */
  readonly check: boolean;
  /** Resolves a tag in its registry. Without it external images need a digest. */
  readonly resolveTag?: ((reference: Reference) => Promise<Digest>) | undefined;
  /** Resolve references that already have a digest. */
  readonly update?: boolean;
  /** Values of variables. */
  readonly set?: ReadonlyMap<string, string>;
}

/**
 * Pins Dockerfiles and image configs to the current packages of the workspace: builds the packages
 * and their dependencies in order, then writes tag and digest into each reference. Idempotent.
 * @returns the changes in writing order
 * @throws LktError PIN_MISSING for an external image without digest if no tag can be resolved, or
 * with `check`; PIN_STALE; the errors of `pinWorkspace`
 */
export async function pin(
  workspace: Workspace,
  targets: PinTargets,
  options: BuildOptions,
): Promise<readonly PinChange[]> {
  const { packages, configs, check, set } = targets;
  // Each by itself, since they may not belong together.
  const loaded = await Array.fromAsync(configs, async (file) => loadConfig([file], { set }));
  if (targets.resolveTag === undefined) requireDigests(workspace, loaded);
  const named = new Map<string, Package>();
  for (const name of loaded.flatMap(({ config }) => packageNames(config))) {
    const item = workspace.find(parseReference(name));
    if (item !== undefined) named.set(name, item);
  }
  const wanted = new Set(packages);
  for (const item of named.values()) if (publishedReference(item) === undefined) wanted.add(item);
  const changes: PinChange[] = [];
  let pins: ReadonlyMap<string, string>;
  if (check) {
    const report = await buildPackages(workspace, [...wanted], options);
    pins = new Map(report.packages.map((built) => [built.item.name, pinOf(built) ?? '']));
  } else {
    const report = await pinWorkspace(workspace, [...wanted], options);
    changes.push(...report.changes);
    pins = report.references;
  }
  const others = await otherPins(workspace, loaded, targets);
  const configPins = await (check ? findPins : writePins)(loaded, pinsByName(named, pins), others);
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
 * Writes pins into loaded configs and their includes.
 * @param pins as for `pinConfig`
 * @param others as for `pinConfig`
 */
export async function writePins(
  loaded: readonly LoadedConfig[],
  pins: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string>,
): Promise<ConfigPins> {
  const found = findPins(loaded, pins, others);
  for (const { after } of found.files) await writeFileAtomic(after.absolute, after.text);
  return found;
}

function findPins(
  loaded: readonly LoadedConfig[],
  pins: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string>,
): ConfigPins {
  const changes: PinChange[] = [];
  const files: ConfigPins['files'][number][] = [];
  for (const { file, config } of filesOf(loaded)) {
    const pinned = pinConfig(file, config, pins, others);
    if (pinned.changes.length === 0) continue;
    changes.push(...pinned.changes.map((change) => ({ file: file.path, ...change })));
    files.push({ before: file, after: { ...file, text: pinned.text } });
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
  if (resolveTag === undefined) return pins;
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

/** @throws LktError PIN_MISSING at the first external image without a digest */
function requireDigests(workspace: Workspace, loaded: readonly LoadedConfig[]): void {
  for (const { text, reference, at } of loaded.flatMap(({ config }) => imageReferencesOf(config)))
    if (reference?.digest === undefined && reference && !workspace.find(reference))
      throw errorAt('PIN_MISSING', at, `${text} has no digest, and no registry is asked for one`, {
        fix: 'run lkt pin without --offline, or append the digest',
      });
}

/** Returns every file once, even if several configs include it. */
export function filesOf(
  loaded: readonly LoadedConfig[],
): readonly { readonly file: ConfigFile; readonly config: SystemConfig }[] {
  const files = new Map<string, { readonly file: ConfigFile; readonly config: SystemConfig }>();
  for (const { config, files: own } of loaded)
    for (const file of own)
      if (!files.has(file.absolute)) files.set(file.absolute, { file, config });
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
