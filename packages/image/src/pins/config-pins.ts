import { writeFileAtomic } from '@lkt/core';
import { familiarReference } from '@lkt/oci';
import { type ForeignImages, type PinChange, pinForeign, withPin, type Workspace } from '@lkt/pkg';
import { imageReferencesOf } from '../config/config.ts';
import { locatedAsync } from '../config/fields.ts';
import type { ConfigFile, LoadedConfig } from '../config/load-config.ts';
import { pinConfig, type WantedReference } from '../config/pin-config.ts';
import { pinLock } from '../config/pin-lock.ts';

/** References of image configs that are not current, and the files with the current ones. */
export interface ConfigPins {
  readonly changes: readonly PinChange[];
  readonly files: readonly { readonly before: ConfigFile; readonly after: ConfigFile }[];
}

/**
 * Returns a function that finds the current text of a reference.
 * @param pins `org/image:<source hash>@<digest>` by `org/image`
 * @param others pinned references of external images, by the reference as written
 */
export function wantedFrom(
  pins: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, string>,
): WantedReference {
  return ({ text, reference }) => {
    if (reference === undefined) return undefined;
    const { domain, path } = reference;
    const pin = pins.get(familiarReference({ domain, path }));
    return pin === undefined ? others.get(text) : withPin(text, pin);
  };
}

/**
 * Writes pins into loaded configs and their includes, or their lock files.
 * @param intoLocks use lock files also for configs without one
 */
export async function writeConfigPins(
  loaded: readonly LoadedConfig[],
  wanted: WantedReference,
  intoLocks = false,
): Promise<ConfigPins> {
  const found = findConfigPins(loaded, wanted, intoLocks);
  for (const { before, after } of found.files) {
    if (after.lock !== undefined) await writeFileAtomic(after.lock.absolute, after.lock.text);
    if (after.text !== before.text) await writeFileAtomic(after.absolute, after.text);
  }
  return found;
}

/** Returns the new texts that `writeConfigPins` writes. */
export function findConfigPins(
  loaded: readonly LoadedConfig[],
  wanted: WantedReference,
  intoLocks = false,
): ConfigPins {
  const changes: PinChange[] = [];
  const files: ConfigPins['files'][number][] = [];
  for (const { file, loaded: one } of filesOf(loaded)) {
    const { config, locks } = one;
    const hasLock = intoLocks || locks.has(file);
    // `lkt build --pin` writes only lock files.
    const pinned = intoLocks ? undefined : pinConfig(file, config, wanted, { hasLock });
    const lock = hasLock ? pinLock(file, config, one, wanted) : undefined;
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
  foreign: ForeignImages,
): Promise<ReadonlyMap<string, string>> {
  const pins = new Map<string, string>();
  for (const { text, reference, at } of loaded.flatMap(({ config }) => imageReferencesOf(config))) {
    if (reference === undefined || pins.has(text) || workspace.find(reference) !== undefined)
      continue;
    const pin = await locatedAsync(at, async () => pinForeign(text, reference, foreign));
    if (pin !== undefined) pins.set(text, pin);
  }
  return pins;
}

/** Returns every file once, even if several configs include it. */
export function filesOf(
  loaded: readonly LoadedConfig[],
): readonly { readonly file: ConfigFile; readonly loaded: LoadedConfig }[] {
  const files = new Map<string, { readonly file: ConfigFile; readonly loaded: LoadedConfig }>();
  for (const one of loaded)
    for (const file of one.files)
      if (!files.has(file.absolute)) files.set(file.absolute, { file, loaded: one });
  return [...files.values()];
}
