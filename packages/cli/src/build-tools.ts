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
 * @param builder address of a BuildKit that does the steps, instead of this machine
 */
export async function buildTools(session: Session, builder?: string): Promise<BuildOptions> {
  const { reporter, signal, environment } = session;
  return {
    store: await session.openStore(),
    engine:
      builder === undefined ? lazyNativeEngine : await remoteEngine(builder, environment.variables),
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
async function remoteEngine(
  address: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<BuildOptions['engine']> {
  const { buildkitEngine } = await import('@lkt/build');
  return buildkitEngine({ address, environment });
}
