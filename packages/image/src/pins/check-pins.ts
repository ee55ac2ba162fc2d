import { familiarReference } from '@lkt/oci';
import { type BuildOptions, findPins, type PinChange, withPin, type Workspace } from '@lkt/pkg';
import { imageReferencesOf } from '../config/config.ts';
import type { ImageReference } from '../config/reference.ts';
import { findConfigPins, otherPins } from './config-pins.ts';
import { type PinTargets, readTargets } from './pin.ts';

/**
 * Returns the changes that `pin` would make, as far as they are known without a build: an image
 * that the store lacks counts as right if its tag is of the current sources. Builds, pulls and
 * writes nothing. Warns of a lock file whose digest only a build can confirm.
 * @returns the changes; `…` in them stands for a digest that only a build or a registry supplies
 * @throws LktError the errors of `pin`, but for those of builds
 */
export async function checkPins(
  workspace: Workspace,
  targets: Omit<PinTargets, 'intoLocks'>,
  options: BuildOptions,
): Promise<readonly PinChange[]> {
  const { loaded, named } = await readTargets(workspace, targets);
  const others = await otherPins(workspace, loaded, targets);
  const items = [...new Set([...targets.packages, ...named.values()])];
  const { changes, check } = await findPins(workspace, items, options, targets);
  const wanted = new Map<ImageReference, string>();
  for (const image of loaded.flatMap(({ config }) => imageReferencesOf(config))) {
    const { text, reference, isLocked = false, at } = image;
    if (reference === undefined) continue;
    const { domain, path } = reference;
    const name = familiarReference({ domain, path });
    const item = named.get(name);
    if (item === undefined) {
      const other = others.get(text);
      if (other !== undefined) wanted.set(image, other);
      continue;
    }
    const { state, now } = await check(item, reference, isLocked);
    if (state === 'wrong') wanted.set(image, withPin(text, now));
    if (state === 'unknown')
      options.reporter.emit({
        kind: 'warning',
        text: `${at.file.path}:${at.position.line}: only a build tells whether the lock file has the digest of ${name}`,
      });
  }
  return [...changes, ...findConfigPins(loaded, (image) => wanted.get(image)).changes];
}
