import type { LktError } from '@lkt/core';
import type { Settings } from '@lkt/pkg';
import type { Container } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import type { Layout } from '../config/layout.ts';
import type { Supervision } from './supervision.ts';

/** Label in which images of `init` list features beyond LinuxKit's, separated by blanks. */
const FEATURES_LABEL = 'lkt.guest.features';

/** Features that fields of containers require: docs/guest.md. */
const FEATURES = [
  'restart',
  'after',
  'ready',
  'onfailure',
  'timeout',
  'seccomp',
  'apparmor',
  'interfaces',
  'mkdir',
] as const;

/** Feature of an init that mounts file systems from files of the initramfs. */
const EROFS = 'erofs';

/** Returns the features of the images of `init` and the kernel, from their labels. */
export function guestFeatures(
  labels: Iterable<Readonly<Record<string, string>> | undefined>,
): ReadonlySet<string> {
  const features = [...labels].flatMap((of) => of?.[FEATURES_LABEL] ?? []);
  // An init without the label behaves like LinuxKit's.
  return new Set([
    ...(features.length === 0 ? ['interfaces'] : []),
    ...features.join(' ').split(' '),
  ]);
}

/**
 * Reports whether the init makes the root read-only for good, so that a runtime cannot make mount
 * points in it: as erofs, or by a lock on its mount.
 */
export function locksRoot(features: ReadonlySet<string>): boolean {
  return features.has(EROFS);
}

/**
 * Reports whether nothing in the guest changes the files of an image before its container starts:
 * init locks the root, and the runtime is one of lkt's, which name their features too.
 */
export function isSealed(features: ReadonlySet<string>): boolean {
  return locksRoot(features) && features.has('seccomp');
}

/**
 * Checks that the guest supports all features of a container; an init silently ignores unknown
 * fields.
 * @throws LktError UNSUPPORTED at the field, or at the container if its label has it
 */
export function requireFeatures(
  container: Container,
  settings: Settings,
  supervision: Supervision,
  has: ReadonlySet<string>,
): void {
  const { interfaces = [], mkdir = [] } = settings.runtime ?? {};
  const owned = mkdir.filter((directory) => typeof directory !== 'string');
  const used = {
    ...supervision,
    seccomp: settings.seccomp,
    apparmor: settings.apparmor,
    interfaces: interfaces.length === 0 ? undefined : interfaces,
    mkdir: owned.length === 0 ? undefined : owned,
  };
  for (const feature of FEATURES)
    if (used[feature] !== undefined && used[feature] !== '' && !has.has(feature))
      throw unsupported(container, feature, feature);
  const { runtimeClass = '' } = settings;
  // The label names each class: a container must not run without the isolation that it asks for.
  const feature = `runtimeClass:${runtimeClass}`;
  if (runtimeClass !== '' && !has.has(feature))
    throw unsupported(container, 'runtimeClass', feature);
}

function unsupported(container: Container, field: string, feature: string): LktError {
  const own = container.item.entries();
  const runtime = own.get('runtime');
  const value =
    own.get(field) ?? (runtime?.isMap() === true ? runtime.entries().get(field) : undefined);
  return errorAt(
    'UNSUPPORTED',
    value ?? container.at,
    value === undefined
      ? `the label of ${container.image.text} has "${field}", and no image of init supports it`
      : 'no image of init supports it',
    { fix: `remove it, or use an image of init whose label ${FEATURES_LABEL} has ${feature}` },
  );
}

/**
 * Checks that init supports a layout.
 * @throws LktError UNSUPPORTED
 */
export function requireLayout({ kind, at }: Layout, has: ReadonlySet<string>): void {
  if (kind !== 'erofs' || has.has(EROFS)) return;
  throw errorAt('UNSUPPORTED', at, 'no image of init supports it', {
    fix: `remove it, or use an image of init whose label ${FEATURES_LABEL} has ${EROFS}`,
  });
}
