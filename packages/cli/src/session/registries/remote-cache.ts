import { resolve } from 'node:path';
import type { CacheLocation, RemoteSteps } from '@lkt/builder';
import { LktError } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import type { BuildOptions } from '@lkt/pkg';
import type { Registry } from '@lkt/registry';
import type { BuilderFlags } from '../../flags/package.ts';
import type { RegistryFlags } from '../../flags/registry.ts';
import { buildersOf } from '../build-tools.ts';
import { openRegistries } from './registries.ts';
import type { Session } from '../session.ts';

/** The remote caches of `--cache-from` and `--cache-to`, for either engine. */
export interface RemoteCaches extends AsyncDisposable {
  readonly tools: Pick<BuildOptions, 'cache' | 'remoteCache'>;
  /** Pushes the steps of the build. */
  push(): Promise<void>;
}

/**
 * Opens the remote caches that the flags name.
 * @throws LktError USAGE_INVALID
 */
export async function remoteCaches(
  session: Session,
  flags: RegistryFlags & BuilderFlags,
): Promise<RemoteCaches> {
  const { 'cache-from': from = [], 'cache-to': to } = flags;
  const none = { push: async () => {}, [Symbol.asyncDispose]: async () => {} };
  if (from.length === 0 && to === undefined) return { ...none, tools: {} };
  const remoteCache = { from, to };
  if (buildersOf(session, flags).length > 0) {
    // BuildKit has a default registry.
    for (const text of from) await taggedReference('--cache-from', text);
    if (to !== undefined) await taggedReference('--cache-to', to);
    return { ...none, tools: { remoteCache } };
  }
  const { RemoteSteps } = await import('@lkt/builder');
  const registries = new AsyncDisposableStack();
  let opened: Promise<Registry> | undefined;
  const registry = async (): Promise<Registry> =>
    (opened ??= openRegistries(session, flags).then((open) => registries.use(open)));
  const places: CacheLocation[] = [];
  for (const text of from) places.push(await placeOf('--cache-from', text, session, registry));
  const target = to === undefined ? undefined : await placeOf('--cache-to', to, session, registry);
  const cache: RemoteSteps = new RemoteSteps(places, target, session.reporter);
  return {
    tools: { cache },
    push: async () => cache.push(await session.openStore(), session.signal),
    [Symbol.asyncDispose]: async () => registries.disposeAsync(),
  };
}

async function placeOf(
  option: string,
  text: string,
  { environment }: Session,
  registry: () => Promise<Registry>,
): Promise<CacheLocation> {
  const { layoutLocation, registryLocation } = await import('@lkt/builder');
  const [, directory] = /^oci-layout:(?:\/\/)?(.+)$/.exec(text) ?? [];
  if (directory !== undefined) return layoutLocation(text, resolve(environment.cwd, directory));
  const reference = await taggedReference(option, text);
  return registryLocation(text, await registry(), reference);
}

/**
 * Returns the reference of a cache in a registry.
 * @throws LktError USAGE_INVALID if it has a digest or names no registry
 */
async function taggedReference(option: string, text: string): Promise<Reference> {
  const { parseReference } = await import('@lkt/oci');
  const reference = parseReference(text);
  if (reference.digest !== undefined)
    throw new LktError('USAGE_INVALID', `${option}: ${text} names a digest`, {
      fix: 'name a tag',
    });
  if (reference.domain === undefined)
    throw new LktError('USAGE_INVALID', `${option}: ${text} names no registry`, {
      fix: 'write it as HOST/REPOSITORY:TAG, or oci-layout:DIR',
    });
  return reference;
}
