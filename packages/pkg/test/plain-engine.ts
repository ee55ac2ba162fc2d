import { readFile } from 'node:fs/promises';
import type { BuildContext, BuildRequest, Engine } from '@lkt/builder';
import {
  type Descriptor,
  type EntryWithContent,
  type Platform,
  SOURCE_DATE_EPOCH,
  writeImage,
  writeLayer,
} from '@lkt/oci';

/**
 * An engine that runs nothing. The image has the context as one layer, and a file that lists the
 * bases and arguments.
 */
export class PlainEngine implements Engine {
  /** Names of the packages that were built, in the order in which the builds started. */
  readonly built: string[] = [];
  readonly requests: BuildRequest[] = [];
  /** Added to every image, so that a test can make builds differ. */
  salt = '';
  /** Called at the start of each build. */
  onBuild: (request: BuildRequest) => Promise<void> = async () => undefined;
  buildPlatform?: (platform: Platform) => Platform;

  async build(request: BuildRequest, { store, signal }: BuildContext): Promise<Descriptor> {
    this.built.push(request.name);
    this.requests.push(request);
    await this.onBuild(request);
    signal?.throwIfAborted();
    const { bases, buildArgs, labels, platform, dockerfile } = request;
    const inputs = JSON.stringify([dockerfile.text, [...bases], [...buildArgs]]);
    const entries: EntryWithContent[] = [entry('.inputs', Buffer.from(inputs))];
    if (this.salt !== '') entries.push(entry('.salt', Buffer.from(this.salt)));
    for (const { path, source } of request.context)
      entries.push(entry(path.replaceAll('/', '_'), await readFile(source)));
    const layer = await writeLayer(store, entries);
    return writeImage(store, { config: { config: { Labels: labels } }, layers: [layer], platform });
  }
}

function entry(path: string, bytes: Buffer): EntryWithContent {
  return {
    path,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: SOURCE_DATE_EPOCH,
    size: bytes.length,
    content: (async function* content(): AsyncGenerator<Uint8Array> {
      yield bytes;
    })(),
  };
}
