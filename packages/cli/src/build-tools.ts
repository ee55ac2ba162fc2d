import { LktError } from '@lkt/core';
import type { BuildOptions, Workspace } from '@lkt/pkg';
import type { Session } from './command.ts';

/** The workspace of a directory. */
export async function workspaceAt(
  session: Session,
  dir: string,
  buildYml?: string,
): Promise<Workspace> {
  const { openWorkspace } = await import('@lkt/pkg');
  return openWorkspace(dir, {
    env: session.environment.variables,
    ...(buildYml === undefined ? {} : { buildYml }),
  });
}

/**
 * What building packages needs. Nothing of it does anything before a package has to be built.
 * @param builders addresses of BuildKits that do the steps instead of this machine, each for all platforms or, as
 * `linux/arm64=ADDRESS`, for one
 * @throws LktError USAGE_INVALID
 */
export async function buildTools(
  session: Session,
  builders: readonly string[] = [],
): Promise<BuildOptions> {
  const { reporter, signal, environment } = session;
  return {
    store: await session.openStore(),
    engine:
      builders.length === 0
        ? lazyNativeEngine
        : await remoteEngines(builders, environment.variables),
    mirror: async () => {
      const { findMirror } = await import('@lkt/debian');
      const { LKT_DEBIAN_MIRROR } = environment.variables;
      return findMirror({ env: { LKT_DEBIAN_MIRROR } });
    },
    reporter,
    signal,
  };
}

const lazyNativeEngine: BuildOptions['engine'] = {
  build: async (request, context) => {
    const { nativeEngine } = await import('@lkt/build');
    return nativeEngine().build(request, context);
  },
};

/** At once, so that an address that is none is refused although nothing has to be built. */
async function remoteEngines(
  builders: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<BuildOptions['engine']> {
  const { buildkitEngine, platformEngines } = await import('@lkt/build');
  const { formatPlatform, parsePlatform } = await import('@lkt/oci');
  const engines = new Map<string, BuildOptions['engine']>();
  for (const text of builders) {
    const [, platform, address = text] = /^([a-z0-9]+\/[a-z0-9/]+)=(.*)$/.exec(text) ?? [];
    const key = platform === undefined ? '' : formatPlatform(parsePlatform(platform));
    if (engines.has(key)) {
      const what = key === '' ? 'all platforms' : key;
      throw new LktError('USAGE_INVALID', `two builders are given for ${what}`, {
        fix: 'give one, or one for each platform: --builder linux/arm64=ADDRESS',
      });
    }
    engines.set(key, buildkitEngine({ address, environment }));
  }
  return platformEngines(engines, engines.get('') ?? lazyNativeEngine);
}
