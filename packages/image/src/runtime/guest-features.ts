import type { Settings } from '@lkt/pkg';
import type { Container } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import type { Layout } from '../config/layout.ts';
import type { Supervision } from './supervision.ts';

/** The label in which images of `init` say what they can do beyond LinuxKit's: names with blanks between. */
const FEATURES_LABEL = 'lkt.guest.features';

/** What the fields of a container may need of the guest: docs/guest.md. */
const FEATURES = [
  'restart',
  'after',
  'ready',
  'onfailure',
  'seccomp',
  'apparmor',
  'interfaces',
] as const;

/** Of an init that mounts file systems which are files of the initramfs. */
const EROFS = 'erofs';

/** What the images of `init` and the kernel can do, by their labels. */
export function guestFeatures(
  labels: Iterable<Readonly<Record<string, string>> | undefined>,
): ReadonlySet<string> {
  const said = [...labels].flatMap((of) => of?.[FEATURES_LABEL] ?? []);
  // An init that says nothing is LinuxKit's, or does what LinuxKit's does.
  return new Set([...(said.length === 0 ? ['interfaces'] : []), ...said.join(' ').split(' ')]);
}

/**
 * That the guest can do what a container needs: a field that init does not know would be passed over in silence.
 * @throws LktError UNSUPPORTED at the field, or at the container when its label has it
 */
export function requireFeatures(
  container: Container,
  settings: Settings,
  supervision: Supervision,
  has: ReadonlySet<string>,
): void {
  const interfaces = settings.runtime?.interfaces ?? [];
  const used = {
    ...supervision,
    seccomp: settings.seccomp,
    apparmor: settings.apparmor,
    interfaces: interfaces.length === 0 ? undefined : interfaces,
  };
  for (const feature of FEATURES) {
    if (used[feature] === undefined || used[feature] === '' || has.has(feature)) continue;
    const own = container.item.entries();
    const runtime = own.get('runtime');
    const field =
      own.get(feature) ?? (runtime?.isMap() === true ? runtime.entries().get(feature) : undefined);
    throw errorAt(
      'UNSUPPORTED',
      field ?? container.at,
      field === undefined
        ? `the label of ${container.image.text} has "${feature}", and no image of init can do it`
        : 'no image of init can do it',
      { fix: `take it out, or name an image of init whose label ${FEATURES_LABEL} has ${feature}` },
    );
  }
}

/** That init finds the files of an image laid out so. @throws LktError UNSUPPORTED */
export function requireLayout({ kind, at }: Layout, has: ReadonlySet<string>): void {
  if (kind !== 'erofs' || has.has(EROFS)) return;
  throw errorAt('UNSUPPORTED', at, 'no image of init can do it', {
    fix: `take it out, or name an image of init whose label ${FEATURES_LABEL} has ${EROFS}`,
  });
}
