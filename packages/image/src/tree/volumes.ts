import { type RawPath, toRaw } from '@lkt/oci';
import type { SystemConfig, Volume } from '../config/config.ts';
import type { ImageReference } from '../config/reference.ts';
import { CONFIG_SEGMENT, imageParts, memoryPart } from './containers.ts';
import { MemoryEntries } from './memory.ts';
import type { Part, TreeEntry } from './part.ts';
import type { SourceImages } from './source-image.ts';

/**
 * Returns the parts of volumes: `containers/volumes/NAME` with `lower` for the image, its OCI
 * layout or nothing, `merged` as mount point, and `tmp` for writes unless read-only.
 */
export async function volumeParts(
  config: SystemConfig,
  images: SourceImages,
): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for (const [index, volume] of config.volumes.entries()) {
    const location = `volume[${index}]`;
    const dir = toRaw(`containers/volumes/${volume.name}`);
    const lower = `${dir}/lower`;
    const origin = { source: 'linuxkit.volumes', location };
    const label = `volume ${volume.name} (${location})`;
    if (volume.image === undefined) {
      const empty = new MemoryEntries().directory(dir).directory(lower);
      parts.push(memoryPart(empty, { source: 'empty', location }, label, CONFIG_SEGMENT));
    } else if (volume.format === 'oci') {
      parts.push(await layoutPart(volume, volume.image, images, lower, location));
    } else {
      const source = await images.find(volume.image);
      const from = { source: source.full, location };
      parts.push(...(await imageParts(source, from, lower, 'link')));
    }
    const files = new MemoryEntries().directory(`${dir}/merged`);
    if (!volume.readonly) files.directory(`${dir}/tmp`);
    parts.push(memoryPart(files, origin, label, CONFIG_SEGMENT));
  }
  return parts;
}

/** Returns an image as an OCI layout, for a container that runs containers itself. */
async function layoutPart(
  { name, platforms }: Volume,
  image: ImageReference,
  images: SourceImages,
  lower: RawPath,
  location: string,
): Promise<Part> {
  const { key, layout } = await images.layout(image, platforms);
  const entries: TreeEntry[] = [...new MemoryEntries().directory(lower).entries];
  for await (const entry of await layout()) {
    const { path, type, mode, uid, gid, mtime, size } = entry;
    const base = { path: `${lower}/${path}`, mode, uid, gid, mtime, size };
    entries.push(
      type === 'directory' ? { ...base, type } : { ...base, type: 'file', content: path },
    );
  }
  return {
    origin: { source: image.full, location },
    label: `volume ${name} (${location})`,
    isRoot: false,
    segment: lower,
    entries,
    contents: {
      key,
      async *read(wanted) {
        for await (const { path, content } of await layout())
          if (wanted.has(path) && content !== undefined) yield { name: path, data: content };
      },
    },
  };
}
