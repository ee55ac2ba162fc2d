import type { Plan } from '../plan.ts';
import { warnOfCapabilities } from '../tree/capabilities.ts';
import type { Kernel } from '../tree/kernel.ts';
import type { FileSystem } from './file-system.ts';
import type { Format } from './formats.ts';
import { planIso } from './iso9660.ts';
import { planFiles } from './plan-files.ts';
import { type Output, small } from './write.ts';

/** The disk of the machine, as Linux calls the first that is virtio's. */
const DISK = '/dev/vda';

/**
 * The root of a planned image as the content of a disk which the kernel mounts without an initrd, in each of the
 * formats that are asked for; and for each the command line with which it does.
 */
export function rootDisks(
  plan: Plan,
  { cmdline }: Kernel,
  name: string,
  formats: readonly Format[],
): readonly Output[] {
  const outputs: Output[] = [];
  if (!formats.includes('kernel+iso')) return outputs;
  warnOfCapabilities(plan, 'an ISO image');
  const files = planFiles(plan);
  const iso = planIso(files, { volumeId: 'LinuxKit' });
  outputs.push(
    { name: `${name}.iso`, bytes: () => iso.bytes(), head: () => iso.head() },
    small(`${name}-iso-cmdline`, rootCmdline(cmdline, files, `root=${DISK} rootfstype=iso9660`)),
  );
  return outputs;
}

/** The command line of the config, with what mounts the root. Of what is named twice the kernel takes the last. */
function rootCmdline(cmdline: string, files: FileSystem, root: string): string {
  const isAsked = /(?:^|\s)init=/.test(cmdline);
  const init = isAsked || hasInit(files) ? '' : ' init=/init';
  return `${cmdline} ${root} ro${init}`.trim();
}

/** Whether the kernel starts something from a disk, where it does not look for the `/init` of an initrd. */
function hasInit({ inodes }: FileSystem): boolean {
  const paths = new Set(
    inodes.flatMap(({ path, children }) =>
      children.map(({ name }) => (path === '' ? name : `${path}/${name}`)),
    ),
  );
  return !paths.has('init') || INIT.some((path) => paths.has(path));
}

/** Where it looks; `/sbin` and `/bin` may be links into `/usr`. */
const INIT = ['sbin/init', 'usr/sbin/init', 'etc/init', 'bin/init', 'usr/bin/init'];
