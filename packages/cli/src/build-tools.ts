import type { BuildOptions, Workspace } from '@lkt/pkg';
import type { Session } from './command.ts';
import { builderSetting } from './environment.ts';
import { imageFetcher } from './registries.ts';
import { trustRequirement, type TrustSettings } from './trust.ts';

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
 * @param flags of the command: BuildKits that do the steps, instead of this machine; a check, which this machine makes;
 * where images may be pulled from, and who is trusted. Without any, nothing is pulled.
 * @throws LktError USAGE_INVALID
 */
export async function buildTools(
  session: Session,
  flags: TrustSettings & {
    readonly builder?: readonly string[] | undefined;
    readonly check?: boolean;
  } = { offline: true },
): Promise<BuildOptions> {
  const { reporter, signal, environment } = session;
  const builders = flags.check === true ? [] : builderSetting(flags.builder, environment).value;
  return {
    store: await session.openStore(),
    engine:
      builders.length === 0
        ? lazyNativeEngine
        : await remoteEngine(builders, environment.variables),
    mirror: async () => {
      const { findMirror } = await import('@lkt/debian');
      const { LKT_DEBIAN_MIRROR } = environment.variables;
      return findMirror({ env: { LKT_DEBIAN_MIRROR } });
    },
    ...imageFetcher(session, flags),
    ...trustRequirement(session, flags),
    reporter,
    signal,
    env: environment.variables,
  };
}

const lazyNativeEngine: BuildOptions['engine'] = {
  build: async (request, context) => {
    const { nativeEngine } = await import('@lkt/build');
    return nativeEngine().build(request, context);
  },
};

/** At once, so that an address that is none is refused although nothing has to be built. */
async function remoteEngine(
  builders: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<BuildOptions['engine']> {
  const { buildkitEngine } = await import('@lkt/build');
  return buildkitEngine({ builders, environment, otherwise: lazyNativeEngine });
}
