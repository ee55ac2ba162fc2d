import { Context, type ContextFile } from '@lkt/builder/inputs';
import { canonicalJson, type Digest, digestHex, digestOf, mapConcurrent } from '@lkt/core';
import type { DebianBlock, DebianLock } from '@lkt/debian';
import { ENGINE_EPOCH, formatPlatform, type Platform } from '@lkt/oci';

/** Everything that the image of a Dockerfile follows from. */
export interface DockerfileInputs {
  /** The text of the Dockerfile. */
  readonly dockerfile: string;
  readonly context: readonly ContextFile[];
  /** The same files as a tree, which keeps what it has read for the keys of other platforms. */
  readonly tree?: Context;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: Readonly<Record<string, string>>;
  readonly bases: ReadonlyMap<string, Digest>;
  readonly network: boolean;
  /** Stage; undefined for the last. */
  readonly target?: string | undefined;
  readonly platform: Platform;
}

/** Everything that the image of a package of .debs follows from. */
export interface DebianInputs {
  readonly lock: DebianLock;
  readonly block: DebianBlock;
  readonly labels: Readonly<Record<string, string>>;
  readonly platform: Platform;
}

/**
 * The key of a build: 64 hex digits, equal exactly when all inputs are. Unlike the source hash it covers the bases, the
 * arguments and the engine, and it does not change with what cannot matter, such as times and owners of files. With it
 * comes the digest of the build context: of the paths in it, their types and modes, and what they hold.
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
    // Keys of builds without it are what they were before there was one.
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
    // The order matters where one package replaces a file of another.
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

/** Files that are hashed at once. */
const MAX_HASHED_AT_ONCE = 8;

async function contextLines(
  files: readonly ContextFile[],
  context: Context,
  signal: AbortSignal | undefined,
): Promise<readonly unknown[]> {
  return mapConcurrent(
    files,
    async ({ path }) => {
      const node = context.node(path);
      return node?.type === 'file'
        ? [path, node.mode, await context.contentDigest(path, signal)]
        : [path, node?.type, node?.link];
    },
    { concurrency: MAX_HASHED_AT_ONCE },
  );
}
