import { type Digest, LktError } from '@lkt/core';
import type { TagSource } from '@lkt/image';
import type { Reference, Store } from '@lkt/oci';
import type { BuildOptions, Workspace } from '@lkt/pkg';
import type { Registry } from '@lkt/registry';
import type { PullFlags, RegistryFlags } from '../../flags/registry.ts';
import { mirrorSetting } from '../environment.ts';
import { readGiven } from '../paths.ts';
import type { Session } from '../session.ts';

/** Opens registries, configured by the flags and the environment. */
export async function openRegistries(session: Session, flags: RegistryFlags): Promise<Registry> {
  const { environment, reporter } = session;
  const mirrors = mirrorsOf(mirrorSetting(flags.mirror, environment));
  const ca = await authorities(session, flags);
  const { createRegistry } = await import('@lkt/registry');
  return createRegistry({
    env: environment.variables,
    ca,
    insecure: flags['insecure-registry'] ?? [],
    mirrors,
    reporter,
  });
}

/** Returns a function that opens the registries once, when first called. */
export function lazyRegistries(session: Session, flags: RegistryFlags): () => Promise<Registry> {
  let opened: Promise<Registry> | undefined;
  return async () => (opened ??= openRegistries(session, flags));
}

/** Returns the lookups of tags in registries; undefined without registries. */
export function tagSource(
  registry: Registry | undefined,
  signal: AbortSignal,
): TagSource | undefined {
  return (
    registry && {
      resolve: async (reference) => (await registry.resolveTag(reference, signal)).digest,
      tags: async (repository) => registry.tags(repository, signal),
    }
  );
}

/**
 * Returns a function that resolves the tags of external images: a name without a registry in the
 * store, others in their registry; without registries, all in the store.
 * @param workspace whose packages have names without a registry
 */
export function tagResolver(
  session: Session,
  registry: Registry | undefined,
  workspace: Workspace,
): (reference: Reference) => Promise<Digest> {
  return async (reference) => {
    if (registry !== undefined && reference.domain !== undefined)
      return (await registry.resolveTag(reference, session.signal)).digest;
    const { familiarReference, formatReference } = await import('@lkt/oci');
    const store = await session.findStore();
    const found = await store?.resolve(formatReference(reference));
    if (found !== undefined) return found.digest;
    if (reference.domain === undefined)
      throw (
        workspace.missingPackage(reference) ??
        new LktError('NOT_FOUND', `${familiarReference(reference)} names no registry`, {
          fix: `write the registry, such as ${formatReference(reference)}, or add a collection with the package to lkt.yml; for LinuxKit's configs, run: lkt migrate`,
        })
      );
    throw new LktError(
      'PIN_MISSING',
      `${familiarReference(reference)} has no digest, and --offline forbids asking its registry`,
      { fix: 'run lkt pin without --offline, or append the digest' },
    );
  };
}

/** Returns those of the store's tags that their registries have too, with the same digest. */
export async function publishedIn(
  session: Session,
  flags: RegistryFlags,
  store: Store,
  tags: readonly string[],
): Promise<readonly string[]> {
  const { publishedTags } = await import('@lkt/registry');
  await using registry = await openRegistries(session, flags);
  return await publishedTags(registry, store, tags, session.signal);
}

/**
 * Reads the certificates of `--cert-file`.
 * @throws LktError NOT_FOUND, CONFIG_INVALID
 */
export async function authorities(
  { environment: { cwd } }: Session,
  { 'cert-file': files = [] }: RegistryFlags,
): Promise<readonly string[]> {
  return Promise.all(
    files.map(async (file) => {
      const text = await readGiven(cwd, file, `--cert-file ${file}`);
      if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
      throw new LktError('CONFIG_INVALID', `--cert-file ${file} contains no certificate`, {
        fix: 'name a file with certificates in PEM form',
      });
    }),
  );
}

/**
 * Returns functions that find and pull images that a build names by digest and the store lacks.
 * They connect only when first called.
 */
export function imageFetcher(
  session: Session,
  flags: PullFlags,
): Pick<BuildOptions, 'fetchImage' | 'hasImage'> {
  if (flags.offline === true) return {};
  const open = lazyRegistries(session, flags);
  return {
    hasImage: async (name) => {
      const registry = await open();
      return registry.resolve(name, session.signal).then(
        () => true,
        (error: unknown) => !(error instanceof LktError && error.code === 'NOT_FOUND'),
      );
    },
    fetchImage: async (reference, platforms, isNamed) => {
      const name = { ...reference, tag: undefined };
      const registry = await open();
      const { reporter, signal } = session;
      // The blobs are in the store under another name, but the registry must have the image under
      // this name.
      if (!isNamed) await registry.resolve(name, signal);
      const { pullSignedImage } = await import('@lkt/sign');
      const options = { platforms, reporter, signal };
      await pullSignedImage(registry, await session.openStore(), name, options);
    },
  };
}

function mirrorsOf(texts: readonly string[]): Record<string, { url: string }[]> {
  const mirrors: Record<string, { url: string }[]> = {};
  for (const text of texts) {
    const [, registry = '*', url = ''] = /^(?:([^=/]+)=)?(https?:\/\/.+)$/.exec(text) ?? [];
    if (!URL.canParse(url)) {
      throw new LktError('USAGE_INVALID', `--mirror ${text} is not a mirror address`, {
        fix: 'write it as docker.io=https://mirror.example',
      });
    }
    (mirrors[registry] ??= []).push({ url });
  }
  return mirrors;
}
