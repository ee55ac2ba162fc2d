import { toRaw } from '@lkt/oci';
import type { SystemConfig } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import { CONFIG_SEGMENT, imageParts, memoryPart } from './containers.ts';
import { MemoryEntries } from './memory.ts';
import type { Part } from './part.ts';
import type { SourceImages } from './source-image.ts';

/**
 * `containers/volumes/NAME`: `lower` with the image or nothing, `merged` where init mounts it, and `tmp` for what is
 * written, which a read-only volume does not have.
 * @throws LktError UNSUPPORTED for a volume that is to hold an image as OCI layout
 */
export async function volumeParts(
  config: SystemConfig,
  images: SourceImages,
): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for (const [index, volume] of config.volumes.entries()) {
    if (volume.format === 'oci' || volume.platforms.length > 0) {
      throw errorAt(
        'UNSUPPORTED',
        volume.at,
        'a volume with "format: oci" or "platforms" is not supported yet',
      );
    }
    const location = `volume[${index}]`;
    const dir = toRaw(`containers/volumes/${volume.name}`);
    const lower = `${dir}/lower`;
    const origin = { source: 'linuxkit.volumes', location };
    const label = `volume ${volume.name} (${location})`;
    if (volume.image === undefined) {
      const empty = new MemoryEntries().directory(dir).directory(lower);
      parts.push(memoryPart(empty, { source: 'empty', location }, label, CONFIG_SEGMENT));
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
