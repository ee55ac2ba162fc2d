import { findImage, imageFiles, loadImage, parsePlatform, type Store } from '@lkt/oci';
import type { SystemConfig } from '../config/config.ts';
import { pinnedReference } from '../config/pinned-reference.ts';
import { guestFeatures } from '../runtime/guest-features.ts';
import { configFilesIn } from '../tree/files.ts';

const DIR = 'etc/sysctl.d';
/** Feature of an init whose PID 1 reads that directory: docs/guest.md. */
const FEATURE = 'sysctl';

/** A file of sysctl.d(5), with its name for messages. */
interface SettingsFile {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface SysctlOptions {
  /** Path of the config, for messages. */
  readonly path: string;
  /** `linux/amd64`. */
  readonly platform: string;
  /** Home directory, for sources that start with `~/`. */
  readonly homeDir: string | undefined;
}

/**
 * Returns the files that set sysctls during boot, in order: those of the root, if an image of
 * `init` reads them, then those of the onboot images.
 * @throws LktError PIN_MISSING for an image without a digest, NOT_FOUND for one that is not in the
 * store
 */
export async function sysctlFilesOf(
  store: Store | undefined,
  config: SystemConfig,
  { path, platform, homeDir }: SysctlOptions,
): Promise<readonly SettingsFile[]> {
  const found = await filesOfRoot(store, config, { path, platform, homeDir });
  for (const { image } of config.onboot)
    found.push(...sorted(await filesOf(store, pinnedReference(image), platform)));
  return found;
}

async function filesOfRoot(
  store: Store | undefined,
  config: SystemConfig,
  { path, platform, homeDir }: SysctlOptions,
): Promise<SettingsFile[]> {
  const images = config.init.map(pinnedReference);
  const labels = await Promise.all(images.map((image) => labelsOf(store, image, platform)));
  if (!guestFeatures(labels).has(FEATURE)) return [];
  // A later file replaces one of the same path.
  const files = new Map<string, SettingsFile>();
  for (const image of images)
    for (const [name, file] of await filesOf(store, image, platform)) files.set(name, file);
  const own = await configFilesIn(config, DIR, homeDir);
  for (const [name, bytes] of own)
    if (isSettings(name)) files.set(name, { name: `${path}:/${DIR}/${name}`, bytes });
  return sorted(files);
}

/** Returns the settings files of an image by name. */
async function filesOf(
  store: Store | undefined,
  reference: string,
  platform: string,
): Promise<ReadonlyMap<string, SettingsFile>> {
  const start = `${DIR}/`;
  const files = await storeFiles(
    store,
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

/** Returns the files of a stored image that `want` accepts, as `imageFiles` does. */
export async function storeFiles(
  store: Store | undefined,
  reference: string,
  platform: string,
  want: (path: string) => boolean,
): Promise<ReadonlyMap<string, Buffer>> {
  const { store: found, descriptor } = await findImage(store, reference);
  return imageFiles(found, descriptor.digest, parsePlatform(platform), want);
}

async function labelsOf(
  store: Store | undefined,
  reference: string,
  platform: string,
): Promise<Readonly<Record<string, string>>> {
  const { store: found, descriptor } = await findImage(store, reference);
  const { config } = await loadImage(found, descriptor.digest, parsePlatform(platform));
  return config.config?.Labels ?? {};
}

function isSettings(name: string): boolean {
  return name.endsWith('.conf') && !name.includes('/');
}

function sorted(files: ReadonlyMap<string, SettingsFile>): SettingsFile[] {
  return [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
}
