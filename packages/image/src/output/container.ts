import { LktError } from '@lkt/core';
import {
  type ArchiveFormat,
  type Descriptor,
  exportImage,
  fromRaw,
  parseReference,
  type Platform,
  type Store,
  writeImage,
  writeLayer,
} from '@lkt/oci';
import type { Plan } from '../plan.ts';
import { tarEntriesOf } from './tar.ts';

/** Candidates for the entrypoint, in order. */
const INIT = ['bin/rc.init', 'usr/bin/rc.init', 'init', 'sbin/init', 'usr/sbin/init'];

/**
 * Writes a planned image as a container image of one layer, with the files of `tarOf`.
 * @param store a temporary store
 * @throws LktError UNSUPPORTED for a file that no layer can contain
 */
export async function containerImage(
  plan: Plan,
  store: Store,
  platform: Platform,
): Promise<Descriptor> {
  const { root, signal } = plan;
  for (const path of root.entries.keys()) {
    if (!/(?:^|\/)\.wh\./.test(path)) continue;
    const message = `no layer can contain /${fromRaw(path)}: the name means a deleted file`;
    throw new LktError('UNSUPPORTED', message, { fix: 'rename it, or use another format' });
  }
  const options = signal === undefined ? {} : { signal };
  const layer = await writeLayer(store, tarEntriesOf(plan), options);
  const init = INIT.find((path) => root.entries.has(path));
  const config = init === undefined ? {} : { Entrypoint: [`/${init}`] };
  return writeImage(store, { config: { config }, layers: [layer], platform });
}

/** Exports the container image as an archive with the name `NAME:latest`. */
export async function* containerArchive(
  store: Store,
  image: Descriptor,
  format: ArchiveFormat,
  name: string,
): AsyncGenerator<Uint8Array> {
  yield* await exportImage(store, image, { format, reference: parseReference(imageName(name)) });
}

/** Converts a file name to a repository name. */
function imageName(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return `${plain === '' ? 'system' : plain}:latest`;
}
