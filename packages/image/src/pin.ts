import { type Digest, LktError } from '@lkt/core';
import { parseReference, type Reference } from '@lkt/oci';
import {
  type BuildOptions,
  buildPackages,
  type Package,
  type PinChange,
  pinOf,
  pinWorkspace,
  type Workspace,
  writeFileAtomic,
} from '@lkt/pkg';
import { imageReferencesOf, type SystemConfig } from './config/config.ts';
import { locatedAsync } from './config/fields.ts';
import { type ConfigFile, loadConfig, type LoadedConfig } from './config/load-config.ts';
import { packageNames, pinConfig } from './config/pin-config.ts';

export interface PinTargets {
  readonly packages: readonly Package[];
  readonly configs: readonly ConfigFile[];
  /** Change nothing; stale pins are errors. */
  readonly check: boolean;
  /** Looks up what a tag is now, in its registry. Without it, images that no package gives stay as they are. */
  readonly resolveTag?: (reference: Reference) => Promise<Digest>;
  /** Whether what has a digest is looked up again. */
  readonly update?: boolean;
  /** Values of variables. */
  readonly set?: ReadonlyMap<string, string>;
}

/**
 * Makes Dockerfiles and image configs name the packages of the workspace as they are now: builds the packages and what
 * they use in dependency order, and writes tag and digest of each where it is named.
 *
 * Done twice, the second time changes nothing.
 * @returns what was written, in the order in which it was
 * @throws LktError PIN_STALE, PIN_MISSING (with `check`), and what `pinWorkspace` throws
 */
export async function pin(
  workspace: Workspace,
  targets: PinTargets,
  options: BuildOptions,
): Promise<readonly PinChange[]> {
  const { packages, configs, check, set } = targets;
  const loaded = await loadEach(configs, set);
  const named = loaded
    .flatMap(({ config }) => packageNames(config))
    .map((name) => workspace.find(parseReference(name)));
  const wanted = [...new Set([...packages, ...named.filter((item) => item !== undefined)])];
  const changes: PinChange[] = [];
  let pins: ReadonlyMap<string, string>;
  if (check) {
    const report = await buildPackages(workspace, wanted, options);
    pins = new Map(report.packages.map((built) => [built.item.name, pinOf(built) ?? '']));
  } else {
    const report = await pinWorkspace(workspace, wanted, options);
    changes.push(...report.changes);
    pins = report.references;
  }
  const others = await otherPins(workspace, loaded, targets);
  for (const { file, config } of filesOf(loaded)) {
    const pinned = pinConfig(file, config, pins, others);
    if (!check && pinned.changes.length > 0) await writeFileAtomic(file.absolute, pinned.text);
    changes.push(...pinned.changes.map((change) => ({ file: file.path, ...change })));
  }
  if (check && changes.length > 0) throw stale(changes);
  return changes;
}

/** What images that no package of the workspace gives are pinned to, by the references as they are written. */
async function otherPins(
  workspace: Workspace,
  loaded: readonly LoadedConfig[],
  { resolveTag, update = false }: PinTargets,
): Promise<ReadonlyMap<string, string>> {
  const pins = new Map<string, string>();
  if (resolveTag === undefined) return pins;
  for (const { text, reference, at } of loaded.flatMap(({ config }) => imageReferencesOf(config))) {
    if (reference === undefined || pins.has(text) || workspace.find(reference) !== undefined)
      continue;
    const { digest, tag, ...name } = reference;
    // A digest without a tag is all that is meant.
    if (digest !== undefined && (!update || tag === undefined)) continue;
    const now = await locatedAsync(at, async () => resolveTag({ ...name, tag: tag ?? 'latest' }));
    const written = text.split('@')[0] ?? text;
    pins.set(text, `${tag === undefined ? `${written}:latest` : written}@${now}`);
  }
  return pins;
}

/** Each by itself: they need not go together. */
async function loadEach(
  configs: readonly ConfigFile[],
  set: ReadonlyMap<string, string> | undefined,
): Promise<readonly LoadedConfig[]> {
  const loaded: LoadedConfig[] = [];
  for (const file of configs)
    loaded.push(await loadConfig([file], set === undefined ? {} : { set }));
  return loaded;
}

/** Every file once, also when several include it. */
function filesOf(
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
