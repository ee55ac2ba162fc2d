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

/** What building packages needs. Nothing of it does anything before a package has to be built. */
export async function buildTools(session: Session): Promise<BuildOptions> {
  const { reporter, signal } = session;
  return {
    store: await session.openStore(),
    engine: {
      build: async (request, context) => {
        const { nativeEngine } = await import('@lkt/build');
        return nativeEngine().build(request, context);
      },
    },
    mirror: async () => {
      const { findMirror } = await import('@lkt/debian');
      const { LKT_DEBIAN_MIRROR } = session.environment.variables;
      return findMirror({ env: { LKT_DEBIAN_MIRROR } });
    },
    reporter,
    signal,
  };
}
