import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { BuildOptions } from '@lkt/pkg';
import type { Registry } from '@lkt/registry';
import type { RegistryFlags } from '../flags/registry.ts';
import { mirrorSetting } from './environment.ts';
import type { Session } from './session.ts';

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

/**
 * Reads the certificates of `--cert-file`.
 * @throws LktError NOT_FOUND, CONFIG_INVALID
 */
export async function authorities(
  { environment: { cwd } }: Session,
  flags: RegistryFlags,
): Promise<readonly string[]> {
  return Promise.all(
    (flags['cert-file'] ?? []).map(async (file) => certificates(resolve(cwd, file), file)),
  );
}

/**
 * Returns a function that pulls images that a build names by digest and the store lacks. Connects
 * only when first called.
 */
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
      // The blobs are in the store under another name, but the registry must have the image under
      // this name.
      if (!isNamed) await registry.resolve(name, signal);
      const descriptor = await registry.pullImage(store, name, { platforms, signal });
      const { formatReference } = await import('@lkt/oci');
      await store.tag(formatReference(name), descriptor);
      const { pullImageSignatures } = await import('@lkt/sign');
      const { reporter } = session;
      await pullImageSignatures(
        registry,
        store,
        { name, descriptor, platforms },
        { reporter, signal },
      );
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

async function certificates(path: string, name: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new LktError('NOT_FOUND', `cannot read --cert-file ${name}`, { cause });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new LktError('CONFIG_INVALID', `--cert-file ${name} contains no certificate`, {
    fix: 'name a file with certificates in PEM form',
  });
}
