import {
  type Image,
  loadImage,
  parsePlatform,
  type Store,
  writeImage,
  writeLayer,
} from '../../src/index.ts';
import { file } from '../support.ts';

const platform = parsePlatform('linux/amd64');

/** An image of two layers, with the same diff ids for every compression. */
export async function twoLayerImage(
  store: Store,
  compression: 'gzip' | 'none',
  more = 'x',
): Promise<Image> {
  const layers = [
    await writeLayer(store, [file('a', 'a'.repeat(100_000))], { compression }),
    await writeLayer(store, [file('b', more)], { compression }),
  ];
  const config = { config: { Cmd: ['/a'] } };
  const { digest } = await writeImage(store, { config, layers, platform });
  return loadImage(store, digest, platform);
}
