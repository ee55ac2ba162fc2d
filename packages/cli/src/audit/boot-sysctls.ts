import type { SystemConfig } from '@lkt/image';
import type { Session } from '../session/session.ts';
import { storedFiles, storedLabels } from '../session/image-files.ts';
import { pinnedReference } from '../session/pinned-reference.ts';

const DIR = 'etc/sysctl.d';
/** What the label of an init says whose PID 1 reads that directory: docs/guest.md. */
const FEATURE = 'sysctl';

/** A file of sysctl.d(5): what to call it in a message, and what is in it. */
interface SettingsFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The files that set sysctls while a system starts, in the order in which they count: those of its root, if an image of `init`
 * reads them, then those in the images of its onboot containers.
 * @throws LktError PIN_MISSING for an image without a digest, NOT_FOUND for one that is not in the store
 */
export async function sysctlFilesOf(
  session: Session,
  config: SystemConfig,
  { path, platform }: { readonly path: string; readonly platform: string },
): Promise<readonly SettingsFile[]> {
  const found = await filesOfRoot(session, config, path, platform);
  for (const { image } of config.onboot)
    found.push(...sorted(await filesOf(session, pinnedReference(image), platform)));
  return found;
}

async function filesOfRoot(
  session: Session,
  config: SystemConfig,
  path: string,
  platform: string,
): Promise<SettingsFile[]> {
  const { configFilesIn, guestFeatures } = await import('@lkt/image');
  const images = config.init.map(pinnedReference);
  const labels = await Promise.all(images.map((image) => storedLabels(session, image, platform)));
  if (!guestFeatures(labels).has(FEATURE)) return [];
  // One of the same path takes the place of an earlier one.
  const files = new Map<string, SettingsFile>();
  for (const image of images)
    for (const [name, file] of await filesOf(session, image, platform)) files.set(name, file);
  const own = await configFilesIn(config, DIR, session.environment.home);
  for (const [name, bytes] of own)
    if (isSettings(name)) files.set(name, { name: `${path}:/${DIR}/${name}`, bytes });
  return sorted(files);
}

/** By their names in the directory. */
async function filesOf(
  session: Session,
  reference: string,
  platform: string,
): Promise<ReadonlyMap<string, SettingsFile>> {
  const start = `${DIR}/`;
  const files = await storedFiles(
    session,
    reference,
    platform,
    (name) => name.startsWith(start) && isSettings(name.slice(start.length)),
  );
  return new Map(
    Array.from(files, ([name, bytes]) => [
      name.slice(start.length),
      { name: `${reference}:/${name}`, bytes },
    ]),
  );
}

function isSettings(name: string): boolean {
  return name.endsWith('.conf') && !name.includes('/');
}

function sorted(files: ReadonlyMap<string, SettingsFile>): SettingsFile[] {
  return [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
}
