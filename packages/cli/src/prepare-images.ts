import { relative, sep } from 'node:path';
import { LktError } from '@lkt/core';
import type { LayerArchive, Store } from '@lkt/oci';
import type { BuiltPackage, Package, Workspace } from '@lkt/pkg';
import type { Session } from './session/session.ts';

/** Bytes of layers. What has less is as fast when it is composed; what has more is most likely what others are built on. */
const [LEAST, MOST] = [2 ** 19, 2 ** 26];

/**
 * Does to what was built just now, but for tools, what the first image that has it would do, and looks at it as `lkt build`
 * does. No build fails for that.
 */
export async function prepareImages(
  session: Session,
  store: Store,
  { root }: Workspace,
  packages: readonly BuiltPackage[],
): Promise<void> {
  const built = packages.filter(({ cached, item }) => !cached && !isTool(root, item));
  const { loadImage, UnpackedLayers } = await import('@lkt/oci');
  const { signal } = session;
  try {
    await using unpacked = new UnpackedLayers(store);
    for (const { item, images } of built)
      for (const { digest, platform: of } of images) {
        if (of === undefined) continue;
        const image = await loadImage(store, digest, of);
        const { layers } = image.manifest;
        const total = layers.reduce((sum, { size }) => sum + size, 0);
        if (total < LEAST || total > MOST) continue;
        const { prepareImage } = await import('@lkt/image/prepare');
        await prepareImage(item.name, image, { store, unpacked, signal });
        const archives = (): readonly LayerArchive[] => unpacked.archives(layers);
        const { rememberAudit } = await import('./audit/build-audit.ts');
        await rememberAudit(session, store, { full: item.name, digest, archives });
      }
  } catch (error) {
    if (!(error instanceof LktError) || signal.aborted) throw error;
  }
}

/** What only other packages are made with. */
function isTool(root: string, { dir }: Package): boolean {
  return relative(root, dir).split(sep)[0] === 'tools';
}
