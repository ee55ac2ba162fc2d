import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { cp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { Digest } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { type BuiltImage, onlyImage } from './built-image.ts';
import { withoutDigests } from './stand-ins.ts';
import type { ConformanceCase } from './suite.ts';

const run = promisify(execFile);

/** The result of another builder: an image, or an error. */
export type Outcome = { readonly image: BuiltImage } | { readonly error: string };

/** Another builder. */
export type Peer = (test: ConformanceCase, directory: string) => Promise<Outcome>;

/**
 * Copies the context as lkt reads it from a checkout: two modes, one owner, no attributes, no empty
 * directories, and the times of the image (docs/dockerfile.md).
 */
async function copyContext(test: ConformanceCase, target: string): Promise<string> {
  await cp(test.context, target, { recursive: true, verbatimSymlinks: true });
  normalize(target);
  return target;
}

/**
 * Writes the Dockerfile without `# syntax=`, for which a builder would fetch a frontend, and
 * without digests, which the stand-in images do not have.
 */
function writeDockerfile(test: ConformanceCase, path: string): string {
  const ignore = join(test.context, `${test.dockerfile}.dockerignore`);
  if (existsSync(ignore)) copyFileSync(ignore, `${path}.dockerignore`);
  const text = readFileSync(join(test.context, test.dockerfile), 'utf8');
  writeFileSync(path, withoutDigests(text.replace(/^# *syntax *=.*/, '#')));
  return path;
}

function normalize(directory: string): number {
  let kept = 0;
  for (const item of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, item.name);
    if (item.isDirectory() && normalize(path) === 0) {
      rmdirSync(path);
      continue;
    }
    kept += 1;
    if (item.isFile()) chmodSync(path, (statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755);
    lchownSync(path, 0, 0);
    lutimesSync(path, SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
  }
  chmodSync(directory, 0o755);
  lutimesSync(directory, SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
  return kept;
}

/**
 * Returns the BuildKit in a Docker, run by `docker buildx`, with images from a store.
 * @param flags further flags of `docker buildx build`
 */
export function buildkitPeer(
  environment: Readonly<Record<string, string>>,
  store: string,
  images: ReadonlyMap<string, Digest>,
  flags: readonly string[] = [],
): Peer {
  return async (test, directory) => {
    const layout = join(directory, 'images');
    mkdirSync(layout);
    writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n');
    writeFileSync(join(layout, 'index.json'), '{"schemaVersion":2,"manifests":[]}\n');
    symlinkSync(join(realpathSync(store), 'blobs'), join(layout, 'blobs'));
    // BuildKit caches a context by its name, and compares only sizes and times.
    const context = await copyContext(test, join(directory, basename(directory)));
    const result = join(directory, 'result');
    const args = [
      ['buildx', 'build', '--progress', 'plain', '--provenance=false', '--network', 'none'],
      [...images].flatMap(([name, digest]) => [
        '--build-context',
        `${name}=oci-layout://${layout}@${digest}`,
      ]),
      Object.entries(test.buildArgs).flatMap(([name, value]) => [
        '--build-arg',
        `${name}=${value}`,
      ]),
      ['--build-arg', `SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}`],
      ['--build-arg', 'BUILDKIT_SANDBOX_HOSTNAME=lkt'],
      flags,
      [
        '--output',
        `type=oci,tar=false,dest=${result},compression=uncompressed,force-compression=true,rewrite-timestamp=true`,
      ],
      ['--file', writeDockerfile(test, join(directory, 'Dockerfile')), context],
    ].flat();
    try {
      await run('docker', args, { env: environment });
    } catch (error) {
      return { error: (error as { stderr?: string }).stderr ?? String(error) };
    }
    return { image: await onlyImage(result) };
  };
}

/** Returns buildah, with its storage in a directory; for cases without images and commands. */
export function buildahPeer(directory: string): Peer {
  mkdirSync(directory);
  const at = (name: string): string => join(directory, name);
  // buildah requires a network program, but never calls it.
  symlinkSync('/bin/true', at('netavark'));
  writeFileSync(at('containers.conf'), `[engine]\nhelper_binaries_dir = ["${directory}"]\n`);
  writeFileSync(at('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}\n');
  const environment = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: directory,
    TMPDIR: directory,
    CONTAINERS_CONF: at('containers.conf'),
    STORAGE_DRIVER: 'vfs',
  };
  const buildah = async (...words: readonly (readonly string[])[]): Promise<void> => {
    const all = ['--root', at('root'), '--runroot', at('run'), ...words.flat()];
    await run('buildah', all, { env: environment });
  };
  return async (test, place) => {
    const context = await copyContext(test, join(place, 'context'));
    const name = `localhost/${basename(place)}`;
    try {
      await buildah(
        ['build', '--isolation', 'chroot', '--layers=false', '--pull=never'],
        ['--timestamp', String(SOURCE_DATE_EPOCH), '--identity-label=false'],
        Object.entries(test.buildArgs).flatMap(([key, value]) => [
          '--build-arg',
          `${key}=${value}`,
        ]),
        ['--tag', name, '--file', writeDockerfile(test, join(place, 'Dockerfile')), context],
      );
      const layout = `oci:${join(place, 'result')}`;
      await buildah(['push', '--signature-policy', at('policy.json'), name, layout]);
    } catch (error) {
      return { error: (error as { stderr?: string }).stderr ?? String(error) };
    }
    const image = await onlyImage(join(place, 'result'));
    // All times are that of --timestamp.
    return { image: { ...image, hasTimes: false } };
  };
}
