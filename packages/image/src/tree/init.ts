import type { SystemConfig } from '../config/config.ts';
import { CONFIG_SEGMENT, memoryPart } from './containers.ts';
import { MemoryEntries } from './memory.ts';
import type { Part } from './part.ts';
import { defaultEntries, graftImage } from './graft.ts';
import type { SourceImages } from './source-image.ts';

/**
 * Returns the images of `init`, each over the earlier ones, and the defaults of a root file system.
 */
export async function initParts(
  config: SystemConfig,
  images: SourceImages,
): Promise<readonly Part[]> {
  const parts: Part[] = [];
  let hasMtab = false;
  for (const [index, reference] of config.init.entries()) {
    const source = await images.find(reference);
    const tree = await source.tree();
    const location = `init[${index}]`;
    const label = `${source.label} (${location})`;
    hasMtab ||= tree.tree.get('etc/mtab') !== undefined;
    parts.push({
      origin: { source: source.full, location },
      label,
      isRoot: true,
      segment: location,
      entries: graftImage(tree.nodes, '', label),
      contents: tree,
    });
  }
  const last = parts.at(-1);
  if (last === undefined) return parts;
  const defaults = new MemoryEntries();
  defaultEntries(defaults, '', 'link', hasMtab);
  return [...parts, memoryPart(defaults, last.origin, last.label, CONFIG_SEGMENT)];
}
