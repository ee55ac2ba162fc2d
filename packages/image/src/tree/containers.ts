import type { Digest } from '@lkt/core';
import { parentPath, type RawPath, toRaw } from '@lkt/oci';
import type { ServiceDependency, Settings } from '@lkt/pkg';
import { type Container, containerIds, type SystemConfig, type Volume } from '../config/config.ts';
import {
  guestFeatures,
  isSealed,
  locksRoot,
  requireFeatures,
  requireLayout,
} from '../runtime/guest-features.ts';
import { imageDefaults } from '../runtime/image-defaults.ts';
import { type RootfsMount, runtimeJson } from '../runtime/runtime-json.ts';
import { mergeSettings } from '../runtime/settings.ts';
import { containerSpec } from '../runtime/spec.ts';
import { checkOrder, type Section, supervisionOf } from '../runtime/supervision.ts';
import { MemoryEntries } from './memory.ts';
import { hasMountPoints } from './mount-points.ts';
import type { Origin, Part } from './part.ts';
import { defaultEntries, graftImage } from './graft.ts';
import type { SourceImage, SourceImages } from './source-image.ts';

/**
 * Segment of small files that change with the config, so that the segments of images stay
 * unchanged.
 */
export const CONFIG_SEGMENT = 'config';

/** A container with its merged settings, and where its files are in the composed image. */
export interface PlacedContainer {
  readonly container: Container;
  readonly section: Section;
  readonly settings: Settings;
  /** Root file system of its image. */
  readonly rootfs: RawPath;
}

/** The bundles of all containers. */
interface Bundles {
  readonly parts: readonly Part[];
  readonly containers: readonly PlacedContainer[];
  /** Before a container starts, nothing changes the files of its image. */
  readonly isSealed: boolean;
}

/**
 * Returns the bundles of all containers: `containers/SECTION/NAME` with `config.json`,
 * `runtime.json` and the root file system. That is in `rootfs` if it is read-only and has all mount
 * points, else in `lower`, with an overlay on `rootfs`. Bundles of the same image share the first
 * one's files.
 */
export async function containerParts(config: SystemConfig, images: SourceImages): Promise<Bundles> {
  const features = await initFeatures(config, images);
  if (config.layout !== undefined) requireLayout(config.layout, features);
  const bundler = new Bundler(config, images, features);
  const parts: Part[] = [];
  for (const section of ['onboot', 'onshutdown', 'services'] as const) {
    for (const [index, container] of config[section].entries()) {
      const number = section === 'services' ? '' : `${String(index).padStart(3, '0')}-`;
      const dir = toRaw(`containers/${section}/${number}${container.name}`);
      parts.push(...(await bundler.bundle(container, section, dir, `${section}[${index}]`)));
    }
  }
  checkOrder(bundler.after);
  return { parts, containers: bundler.containers, isSealed: isSealed(features) };
}

async function initFeatures(
  { kernel, init }: SystemConfig,
  images: SourceImages,
): Promise<ReadonlySet<string>> {
  const labels: (Readonly<Record<string, string>> | undefined)[] = [];
  for (const reference of [...(kernel.image === undefined ? [] : [kernel.image]), ...init])
    labels.push((await images.find(reference)).image.config.config?.Labels ?? undefined);
  return guestFeatures(labels);
}

class Bundler {
  readonly #images: SourceImages;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #volumes: ReadonlyMap<string, Volume>;
  /** Location of each image's root file system. */
  readonly #rootfs = new Map<Digest, RawPath>();
  readonly #features: ReadonlySet<string>;
  /** The runtime cannot make mount points in container roots: erofs, or an init that locks them. */
  readonly #isLocked: boolean;
  /** Dependencies by service. */
  readonly after = new Map<string, readonly ServiceDependency[]>();
  readonly containers: PlacedContainer[] = [];

  constructor(config: SystemConfig, images: SourceImages, features: ReadonlySet<string>) {
    this.#images = images;
    this.#features = features;
    this.#isLocked = locksRoot(features);
    this.#ids = containerIds(config);
    this.#volumes = new Map(config.volumes.map((volume) => [volume.name, volume]));
  }

  async bundle(
    container: Container,
    section: Section,
    dir: RawPath,
    location: string,
  ): Promise<readonly Part[]> {
    const source = await this.#images.find(container.image);
    const { config } = source.image.config;
    const settings = mergeSettings(container.settings, imageDefaults(source.label, config ?? {}));
    const supervision = supervisionOf(settings, section);
    requireFeatures(container, settings, supervision, this.#features);
    if (section === 'services') this.after.set(container.name, supervision.after ?? []);
    const isReadonly = settings.readonly ?? false;
    const origin = { source: source.full, location };
    const first = this.#rootfs.get(source.digest);
    const spec = containerSpec(settings, { ids: this.#ids, volumes: this.#volumes });
    const isAlone =
      isReadonly && (!this.#isLocked || hasMountPoints(await source.tree(), directoriesIn(spec)));
    const rootfs = first ?? `${dir}/${isAlone ? 'rootfs' : 'lower'}`;
    this.#rootfs.set(source.digest, rootfs);
    this.containers.push({ container, section, settings, rootfs });

    const files = new MemoryEntries()
      .directory('containers')
      .directory(parentPath(dir))
      .directory(dir)
      .file(`${dir}/config.json`, spec)
      .file(
        `${dir}/runtime.json`,
        runtimeJson(
          settings.runtime ?? {},
          isAlone ? readonlyMounts(dir, rootfs) : overlayMounts(dir, rootfs),
          supervision,
        ),
      )
      .directory(`${dir}/rootfs`);
    if (!isAlone) files.directory(`${dir}/tmp`);
    return [
      ...(first === undefined ? await imageParts(source, origin, rootfs, 'file') : []),
      memoryPart(files, origin, `${source.label} (${location})`, CONFIG_SEGMENT),
    ];
  }
}

/** Returns the root file system of an image at `prefix`, in its own segment. */
export async function imageParts(
  source: SourceImage,
  origin: Origin,
  prefix: RawPath,
  resolver: 'file' | 'link',
): Promise<readonly Part[]> {
  const label = `${source.label} (${origin.location})`;
  const tree = await source.tree();
  const defaults = new MemoryEntries().directory(prefix);
  defaultEntries(defaults, prefix, resolver, tree.tree.get('etc/mtab') !== undefined);
  return [
    {
      origin,
      label,
      isRoot: false,
      segment: prefix,
      entries: graftImage(tree.nodes, prefix, label),
      contents: tree,
    },
    memoryPart(defaults, origin, label, prefix),
  ];
}

export function memoryPart(
  entries: MemoryEntries,
  origin: Origin,
  label: string,
  segment: string,
): Part {
  return { origin, label, isRoot: false, segment, entries: entries.entries, contents: entries };
}

/** Returns the directories that the runtime makes if they are missing, in its order. */
function directoriesIn(spec: string): readonly string[] {
  const { mounts, process } = JSON.parse(spec) as {
    readonly mounts: readonly { readonly destination: string }[];
    readonly process: { readonly cwd: string };
  };
  return [...mounts.map(({ destination }) => destination), process.cwd];
}

function readonlyMounts(dir: RawPath, rootfs: RawPath): readonly RootfsMount[] {
  return [{ destination: `/${dir}/rootfs`, source: `/${rootfs}`, options: ['bind'] }];
}

function overlayMounts(dir: RawPath, lower: RawPath): readonly RootfsMount[] {
  return [
    { destination: `/${dir}/tmp`, type: 'tmpfs', source: 'tmpfs' },
    // Private, so that later mounts do not propagate.
    { destination: `/${dir}/tmp`, options: ['remount', 'private'] },
    {
      destination: `/${dir}/rootfs`,
      type: 'overlay',
      source: 'overlay',
      options: [`lowerdir=/${lower}`, `upperdir=/${dir}/tmp/upper`, `workdir=/${dir}/tmp/work`],
    },
  ];
}
