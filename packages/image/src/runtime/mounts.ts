import type { Mount, Settings } from '@lkt/pkg';
import type { Volume } from '../config/config.ts';
import type { GoValue } from '../go-json.ts';

export type Volumes = ReadonlyMap<string, Volume>;

/** Returns the mount point of a volume. */
function volumeMount(name: string): string {
  return `/containers/volumes/${name}/merged`;
}

/**
 * Returns the mounts of a container, sorted by destination: defaults, `tmpfs`, `binds`, `mounts`.
 * The last one of a destination wins.
 */
export function containerMounts(
  settings: Settings,
  isReadonly: boolean,
  volumes: Volumes,
): readonly GoValue[] {
  return mountsInOrder(settings, isReadonly).map((mount) =>
    mountJson(mount.at === undefined ? mount : resolveVolume({ ...mount, at: mount.at }, volumes)),
  );
}

/** A mount of a container; the default ones have no position. */
export type OwnMount = Omit<Mount, 'at'> & { readonly at?: Mount['at'] };

/** Returns the mounts of a container in the order of `containerMounts`. */
export function mountsInOrder(
  { tmpfs = [], binds = [], mounts = [] }: Settings,
  isReadonly: boolean,
): readonly OwnMount[] {
  const all: readonly OwnMount[] = [...defaults(isReadonly), ...tmpfs, ...binds, ...mounts];
  return [...new Map(all.map((mount) => [mount.destination, mount])).values()].toSorted((a, b) =>
    Buffer.compare(Buffer.from(a.destination), Buffer.from(b.destination)),
  );
}

/** Returns where init mounts something in the root of a container, before the runtime does. */
export function initMountPoints({ runtime }: Settings): readonly string[] {
  return (runtime?.mounts ?? [])
    .map(({ destination }) => destination)
    .filter((destination) => !destination.startsWith('/'));
}

/** Formats a mount (runtime-spec, config.md, "Mounts"). */
export function mountJson(mount: Omit<Mount, 'at'>): GoValue {
  const { destination, type, source, options, uidMappings, gidMappings } = mount;
  return {
    destination,
    type,
    source,
    options: filled(options),
    uidMappings: filled(uidMappings)?.map((mapping) => ({ ...mapping })),
    gidMappings: filled(gidMappings)?.map((mapping) => ({ ...mapping })),
  };
}

function filled<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

/**
 * Resolves a bind with a relative source to the mount point of the volume. Adds the option `bind`,
 * since runtimes otherwise treat `bind` as a file system type. A read-only volume must be bound
 * read-only.
 */
function resolveVolume(mount: Mount, volumes: Volumes): Mount {
  const { source, at } = mount;
  if (mount.type !== 'bind' || source === undefined || source.startsWith('/')) return mount;
  const volume = volumes.get(source);
  if (volume === undefined) {
    throw at.error(`there is no volume "${source}"`, {
      fix: 'declare it under "volumes", or write an absolute path',
    });
  }
  if (volume.readonly && mount.options?.includes('ro') !== true) {
    throw at.error(`the volume "${source}" is read-only`, { fix: 'add the option "ro"' });
  }
  const { options = [] } = mount;
  const isBind = options.some((option) => option === 'bind' || option === 'rbind');
  return {
    ...mount,
    source: volumeMount(source),
    options: isBind ? options : ['bind', ...options],
  };
}

/** Docker's default mounts as in fstab(5), without /dev/shm and /dev/mqueue. */
const DEFAULTS = `
proc   /proc          proc   nosuid,nodev,noexec,relatime
tmpfs  /dev           tmpfs  nosuid,strictatime,mode=755,size=65536k
devpts /dev/pts       devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620
sysfs  /sys           sysfs  nosuid,noexec,nodev
cgroup /sys/fs/cgroup cgroup nosuid,noexec,nodev,relatime,ro
`;

function defaults(isReadonly: boolean): readonly Omit<Mount, 'at'>[] {
  return DEFAULTS.trim()
    .split('\n')
    .map((line) => {
      const [source, destination = '', type, options = ''] = line.split(/ +/);
      const ro = isReadonly && (destination === '/dev' || destination === '/sys') ? ['ro'] : [];
      return { destination, type, source, options: [...options.split(','), ...ro] };
    });
}
