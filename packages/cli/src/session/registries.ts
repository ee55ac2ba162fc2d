import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { Descriptor, Platform, Reference, Store } from '@lkt/oci';
import type { BuildOptions } from '@lkt/pkg';
import type { Registry, RegistryReader } from '@lkt/registry';
import type { Session } from './session.ts';
import { mirrorSetting } from './environment.ts';
import type { RegistryFlags } from '../flags/registry.ts';

/** Registries as the flags and the environment say to speak to them. */
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

/** The certificates of `--cert-file`. @throws LktError NOT_FOUND, CONFIG_INVALID */
export async function authorities(
  { environment: { cwd } }: Session,
  flags: RegistryFlags,
): Promise<readonly string[]> {
  return Promise.all(
    (flags['cert-file'] ?? []).map(async (file) => certificates(resolve(cwd, file), file)),
  );
}

/** Pulls what a build names by digest and the store lacks. Nothing is opened before. */
export function imageFetcher(
  session: Session,
  flags: RegistryFlags & { readonly offline?: boolean },
): Pick<BuildOptions, 'fetchImage'> {
  if (flags.offline === true) return {};
  let opened: Promise<Registry> | undefined;
  return {
    fetchImage: async (reference, platforms, isNamed) => {
      opened ??= openRegistries(session, flags);
      const registry = await opened;
      const { signal } = session;
      const store = await session.openStore();
      const { domain, path, digest } = reference;
      const name = { domain, path, digest };
      // What is in the store by another name is not asked for again, but the registry has to have it by this one.
      if (!isNamed) await registry.resolve(name, signal);
      const descriptor = await registry.pullImage(store, name, { platforms, signal });
      const { formatReference } = await import('@lkt/oci');
      await store.tag(formatReference(name), descriptor);
      await pullBeside(session, registry, store, { name, descriptor, platforms });
    },
  };
}

/**
 * Brings what a registry or its mirror has signed of an image into the store: signatures and attestations, of the index and
 * of what was pulled of it. That it cannot be had is a warning: whoever needs it will miss it.
 */
export async function pullBeside(
  session: Session,
  registry: Registry,
  store: Store,
  {
    name: { domain, path },
    descriptor,
    platforms,
    documents = false,
  }: {
    readonly name: Reference;
    readonly descriptor: Descriptor;
    readonly platforms?: readonly Platform[];
    /** Also what is not signed. */
    readonly documents?: boolean;
  },
): Promise<void> {
  const { reporter, signal } = session;
  const { pullSignatures } = await import('@lkt/sign');
  const { familiarReference, isIndexType, parseIndex, platformMatches } = await import('@lkt/oci');
  const images = isIndexType(descriptor.mediaType)
    ? parseIndex(await store.readBytes(descriptor)).manifests
    : [];
  const pulled = images.filter(
    ({ platform }) =>
      platforms === undefined ||
      (platform !== undefined && platforms.some((wanted) => platformMatches(platform, wanted))),
  );
  try {
    const place = await placeOf(registry, { domain, path, digest: descriptor.digest }, signal);
    for (const subject of [descriptor, ...pulled])
      await pullSignatures(place, store, { domain, path }, subject, { documents, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof LktError)) throw error;
    const text = `what is said of ${familiarReference({ domain, path })} could not be pulled: ${error.message}`;
    reporter.emit({ kind: 'warning', text });
  }
}

/** Where an image is: a mirror that has it, else the registry. */
async function placeOf(
  registry: Registry,
  image: Reference,
  signal: AbortSignal,
): Promise<RegistryReader> {
  for (const mirror of registry.mirrors(image.domain)) {
    try {
      await mirror.resolve(image, signal);
      return mirror;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof LktError)) throw error;
    }
  }
  return registry;
}

function mirrorsOf(texts: readonly string[]): Record<string, { url: string }[]> {
  const mirrors: Record<string, { url: string }[]> = {};
  for (const text of texts) {
    const [, registry = '*', url = ''] = /^(?:([^=/]+)=)?(https?:\/\/.+)$/.exec(text) ?? [];
    if (!URL.canParse(url)) {
      throw new LktError('USAGE_INVALID', `--mirror ${text} is not the address of a mirror`, {
        fix: 'write it as docker.io=https://mirror.example',
      });
    }
    (mirrors[registry] ??= []).push({ url });
  }
  return mirrors;
}

async function certificates(path: string, name: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new LktError('NOT_FOUND', `--cert-file ${name} cannot be read`, { cause });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new LktError('CONFIG_INVALID', `--cert-file ${name} holds no certificate`, {
    fix: 'name a file of certificates in PEM form',
  });
}
