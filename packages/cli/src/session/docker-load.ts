import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isErrno, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { BuiltPackage } from '@lkt/pkg';
import type { Session } from './session.ts';

/**
 * Checks that Docker can load images, before anything is built for it.
 * @throws LktError TOOL_MISSING, NETWORK_FAILED
 */
export async function checkDocker(session: Session): Promise<void> {
  await docker(session, ['version', '--format', '{{.Server.Version}}']);
}

/**
 * Loads the images of a package into Docker, as LinuxKit does: each as TAG-ARCH, and the one for
 * this machine also as TAG.
 * @returns their names in Docker
 */
export async function loadIntoDocker(
  session: Session,
  store: Store,
  { images, references }: Pick<BuiltPackage, 'images' | 'references'>,
): Promise<readonly string[]> {
  const { writeDockerArchive, familiarReference, loadImage, parseReference } =
    await import('@lkt/oci');
  const { thisMachine } = await import('@lkt/builder');
  const names = references.map((text) => familiarReference(parseReference(text)));
  const loaded: string[] = [];
  for (const { digest, platform } of images) {
    if (platform === undefined) continue;
    const { architecture } = platform;
    const isOurs = architecture === thisMachine().architecture;
    const tags = names.flatMap((name) => [`${name}-${architecture}`, ...(isOurs ? [name] : [])]);
    const image = await loadImage(store, digest, platform);
    await docker(
      session,
      ['load', '--quiet'],
      writeDockerArchive(store, [{ image, tags }], session.signal),
    );
    loaded.push(...tags);
  }
  return loaded;
}

async function docker(
  { environment, signal }: Session,
  words: readonly string[],
  input?: AsyncIterable<Uint8Array>,
): Promise<void> {
  const child = spawn('docker', words, {
    env: environment.variables,
    stdio: ['pipe', 'ignore', 'pipe'],
    signal,
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  });
  const ended = once(child, 'close');
  const sent =
    input === undefined
      ? child.stdin.end()
      : pipeline(Readable.from(input, { objectMode: false }), child.stdin).catch(
          (error: unknown) => {
            // docker has ended early; its exit status and stderr say why.
            if (!isErrno(error, 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE')) throw error;
          },
        );
  const [[exit]] = await Promise.all([ended, sent]).catch((error: unknown) => {
    signal.throwIfAborted();
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new LktError('TOOL_MISSING', '--docker needs docker, which is not installed', {
      cause: error,
      fix: 'run sudo apt-get install docker-cli, or leave out --docker',
    });
  });
  if (exit === 0) return;
  const why = said.trim().split('\n').at(-1) ?? '';
  throw new LktError('NETWORK_FAILED', `docker ${words[0] ?? ''} failed: ${why}`, {
    fix: 'check that Docker runs: docker version',
  });
}
