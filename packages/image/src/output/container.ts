import {
  type ArchiveFormat,
  type Descriptor,
  exportImage,
  parseReference,
  type Platform,
  type Store,
  writeImage,
  writeLayer,
} from '@lkt/oci';
import type { Plan } from '../plan.ts';
import { tarEntriesOf } from './tar.ts';

/** What starts the system, in the order in which it is looked for. */
const INIT = ['bin/rc.init', 'usr/bin/rc.init', 'init', 'sbin/init', 'usr/sbin/init'];

/**
 * A planned image as an image of containers, of one layer which has what `tarOf` gives. It is written into `store`,
 * which whoever calls this throws away.
 */
export async function containerImage(
  plan: Plan,
  store: Store,
  platform: Platform,
): Promise<Descriptor> {
  const { root, signal } = plan;
  const options = signal === undefined ? {} : { signal };
  const layer = await writeLayer(store, tarEntriesOf(plan), options);
  const init = INIT.find((path) => root.entries.has(path));
  const config = init === undefined ? {} : { Entrypoint: [`/${init}`] };
  return writeImage(store, { config: { config }, layers: [layer], platform });
}

/** The same as an archive, in which it is called `NAME:latest`. */
export async function* containerArchive(
  store: Store,
  image: Descriptor,
  format: ArchiveFormat,
  name: string,
): AsyncGenerator<Uint8Array> {
  yield* await exportImage(store, image, { format, reference: parseReference(imageName(name)) });
}

/** A name of files as a repository can be called. */
function imageName(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return `${plain === '' ? 'system' : plain}:latest`;
}
