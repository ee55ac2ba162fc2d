import type { BuildRequest } from '@lkt/builder';
import { Context, type ContextFile } from '@lkt/builder/inputs';
import { canonicalJson, type Digest, digestHex, digestOf } from '@lkt/core';
import type { DebianBlock, DebianLock } from '@lkt/debian';
import { ENGINE_EPOCH, formatPlatform, type Platform } from '@lkt/oci';

/** All inputs of an image with a Dockerfile. */
export interface DockerfileInputs extends Pick<
  BuildRequest,
  'context' | 'buildArgs' | 'labels' | 'bases' | 'network' | 'target' | 'platform'
> {
  /** Text of the Dockerfile. */
  readonly dockerfile: string;
  /** The context as a tree, which caches file digests for the keys of other platforms. */
  readonly tree?: Context;
}

/** All inputs of an image made from Debian packages. */
export interface DebianInputs {
  readonly lock: DebianLock;
  readonly block: DebianBlock;
  readonly labels: Readonly<Record<string, string>>;
  readonly platform: Platform;
}

/**
 * Returns the build key, 64 hex digits, and the digest of the build context over paths, types,
 * modes and contents. Equal inputs have equal keys. Unlike the source hash, the key covers bases,
 * arguments and engine; it ignores times and owners of files.
 */
export async function dockerfileKey(
  inputs: DockerfileInputs,
  signal?: AbortSignal,
): Promise<{ key: string; contextDigest: Digest }> {
  const tree = inputs.tree ?? new Context(inputs.context);
  const context = await contextLines(inputs.context, tree, signal);
  const key = keyOf({
    kind: 'dockerfile',
    platform: formatPlatform(inputs.platform),
    dockerfile: digestOf(inputs.dockerfile),
    context,
    buildArgs: Object.fromEntries(inputs.buildArgs),
    labels: inputs.labels,
    bases: Object.fromEntries(inputs.bases),
    network: inputs.network,
    // Undefined values are not part of the JSON, so keys without a target stay as they were.
    target: inputs.target,
  });
  return { key, contextDigest: digestOf(canonicalJson(context)) };
}

export function debianKey({ lock, block, labels, platform }: DebianInputs): string {
  const { links, files, directories, exclude, include } = block;
  return keyOf({
    kind: 'debian',
    platform: formatPlatform(platform),
    architecture: lock.architecture,
    // The order matters if one package replaces a file of another.
    packages: lock.packages.map(({ name, digest }) => [name, digest]),
    exclude: exclude ?? [],
    include: include ?? [],
    links: [...(links ?? [])],
    files: files ?? [],
    directories: directories ?? [],
    labels,
  });
}

function keyOf(inputs: Readonly<Record<string, unknown>>): string {
  return digestHex(digestOf(canonicalJson({ epoch: ENGINE_EPOCH, ...inputs })));
}

async function contextLines(
  files: readonly ContextFile[],
  context: Context,
  signal: AbortSignal | undefined,
): Promise<readonly unknown[]> {
  const paths = files.map(({ path }) => path);
  const regular = paths.filter((path) => context.node(path)?.type === 'file');
  const digests = await context.contentDigests(regular, signal);
  return paths.map((path) => {
    const node = context.node(path);
    return node?.type === 'file'
      ? [path, node.mode, digests.get(path)]
      : [path, node?.type, node?.link];
  });
}
