import { isDigest, LktError } from '@lkt/core';
import {
  blockCompressor,
  type Compression,
  erofsCompressor,
  type FileSystem,
  type HeadedBytes,
  planErofs,
  planIso,
  planSquashfs,
  planVerity,
  verityCmdline,
  type VerityRoot,
} from '@lkt/formats';
import { singleChunk } from '@lkt/oci';
import type { Plan } from '../plan.ts';
import { warnOfCapabilities } from '../tree/capabilities.ts';
import type { Kernel } from '../tree/kernel.ts';
import type { Format } from './formats.ts';
import { planFiles, planKey } from './plan-files.ts';
import { type Output, small } from './write.ts';

/** Bump when the bytes of a disk change for unchanged files. */
const VERSION = 'root disk 3';
/** First virtio disk in Linux. */
const DISK = '/dev/vda';

/**
 * Returns the root as disks that the kernel mounts without an initrd, and their command lines.
 * @throws LktError UNSUPPORTED for entries that the file system cannot hold, or a compressor that
 * it lacks
 */
export async function rootDisks(
  plan: Plan,
  kernel: Kernel,
  { name, format: wanted }: { readonly name: string; readonly format: readonly Format[] },
  compression: Compression,
): Promise<readonly Output[]> {
  const outputs: Output[] = [];
  const add = async (
    kind: string,
    file: string,
    image: HeadedBytes,
    key: string,
    more?: () => string,
  ): Promise<string> => {
    const noted = await notedBytes(plan, [VERSION, kind, key, tree], more);
    outputs.push({ ...noted, name: file, bytes: () => image.bytes(), head: () => image.head() });
    return noted.more;
  };
  const cmdline = (fstype: string, device = `root=${DISK}`): string =>
    rootCmdline(kernel.cmdline, files, `${device} rootfstype=${fstype}`);
  if (!wanted.some((format) => ROOT_FORMATS.includes(format))) return outputs;
  const files = planFiles(plan);
  const tree = planKey(plan);
  if (wanted.includes('kernel+squashfs')) {
    const image = planSquashfs(
      files,
      known('a squashfs', blockCompressor(compression), compression),
    );
    await add('squashfs', `${name}-squashfs.img`, image, compression.key);
    outputs.push(small(`${name}-squashfs-cmdline`, cmdline('squashfs')));
  }
  if (wanted.includes('kernel+erofs')) {
    const compressor = known('an erofs', erofsCompressor(compression), compression);
    const image = planVerity(planErofs(files, compressor));
    const file = `${name}-erofs.img`;
    const noted = await add('erofs', file, image, compression.key, () =>
      JSON.stringify(image.root()),
    );
    const root = (): VerityRoot => image.root() ?? (JSON.parse(noted) as VerityRoot);
    outputs.push({
      name: `${name}-erofs-cmdline`,
      isDerived: true,
      bytes: () =>
        singleChunk(Buffer.from(cmdline('erofs', `${verityCmdline(root(), DISK)} root=/dev/dm-0`))),
    });
  }
  if (wanted.includes('kernel+iso')) {
    warnOfCapabilities(plan, 'an ISO image');
    await add('iso', `${name}.iso`, planIso(files, { volumeId: 'LinuxKit' }), '');
    outputs.push(small(`${name}-iso-cmdline`, cmdline('iso9660')));
  }
  return outputs;
}

const ROOT_FORMATS: readonly Format[] = ['kernel+squashfs', 'kernel+erofs', 'kernel+iso'];

function known<T>(what: string, found: T | undefined, { compressor }: Compression): T {
  if (found !== undefined) return found;
  throw new LktError('UNSUPPORTED', `lkt cannot compress ${what} with ${compressor}`, {
    fix: 'use --compressor zstd, gzip, lz4 or none',
  });
}

/**
 * Returns the recorded digest of an output, and the function to record it.
 * @param more additional text to record after writing
 */
async function notedBytes(
  { cache }: Plan,
  inputs: readonly string[],
  more: () => string = () => '',
): Promise<Pick<Output, 'expected' | 'note'> & { readonly more: string }> {
  const text = (await cache.findText(inputs)) ?? '';
  const [digest = '', size, ...rest] = text.split(' ');
  return {
    more: rest.join(' '),
    expected: isDigest(digest) ? { digest, size: Number(size) } : undefined,
    note: async (file) => {
      if (isDigest(digest)) return;
      await cache.recordText(inputs, `${file.digest} ${file.size} ${more()}`.trimEnd());
    },
  };
}

/**
 * Appends the root to the command line of the config. The kernel uses the last of equal parameters.
 */
function rootCmdline(cmdline: string, files: FileSystem, root: string): string {
  const isAsked = /(?:^|\s)init=/.test(cmdline);
  const init = isAsked || hasInit(files) ? '' : ' init=/init';
  return `${cmdline} ${root} ro${init}`.trim();
}

/**
 * Reports whether the kernel finds an init on a disk, where it does not try the `/init` of an
 * initrd.
 */
function hasInit({ inodes }: FileSystem): boolean {
  const paths = new Set(
    inodes.flatMap(({ path, children }) =>
      children.map(({ name }) => (path === '' ? name : `${path}/${name}`)),
    ),
  );
  return !paths.has('init') || INIT.some((path) => paths.has(path));
}

/** Paths that the kernel tries; `/sbin` and `/bin` may be links into `/usr`. */
const INIT = ['sbin/init', 'usr/sbin/init', 'etc/init', 'bin/init', 'usr/bin/init'];
