import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { KeptWorkers, Limits } from '@lkt/builder';
import type { WorkerProcess } from '@lkt/builder/worker';
import type { Store } from '@lkt/oci';
import type { BuildOptions, Workspace, WorkspaceOptions } from '@lkt/pkg';
import type { BuilderFlags } from '../flags/package.ts';
import type { PullFlags } from '../flags/registry.ts';
import { collectionCheckout } from './collection-checkout.ts';
import { builderSetting } from './environment.ts';
import { imageFetcher } from './registries/registries.ts';
import type { Session } from './session.ts';
import { trustRequirement } from './trust.ts';

/** Opens the workspace that contains a directory. */
export async function workspaceAt(
  session: Session,
  dir: string,
  settings: Pick<WorkspaceOptions, 'buildYml' | 'collectionDirs' | 'dockerfile'> = {},
): Promise<Workspace> {
  const { openWorkspace } = await import('@lkt/pkg');
  return openWorkspace(dir, {
    env: session.environment.variables,
    // The workspace of a config may be opened from the config's directory.
    shownFrom: realpathSync(session.environment.cwd),
    gitDir: async (url, commit) => collectionCheckout(session, url, commit),
    ...settings,
  });
}

/** A store and a worker that a command has opened or started before it asks for the tools. */
export interface OpenTools {
  /** Default: the store of the session. */
  readonly store?: Store;
  /** A worker for the first build on this machine. */
  readonly worker?: WorkerProcess | undefined;
}

/**
 * Returns the tools for building packages. They start nothing before a package needs a build.
 * @param flags of the command: BuildKits that replace this machine, rebuild checks on this machine,
 * registries and trust; without flags, nothing is pulled
 * @throws LktError USAGE_INVALID
 */
export async function buildTools(
  session: Session,
  flags: BuilderFlags & PullFlags = { offline: true },
  { store, worker }: OpenTools = {},
): Promise<BuildOptions> {
  const { reporter, signal, environment } = session;
  const builders = buildersOf(session, flags);
  return {
    store: store ?? (await session.openStore()),
    engine:
      builders.length === 0
        ? lazyNativeEngine(worker)
        : await remoteEngine(builders, environment.variables),
    mirror: async () => {
      const { findMirror } = await import('@lkt/debian');
      return findMirror({ env: environment.variables });
    },
    ...imageFetcher(session, flags),
    ...trustRequirement(session, flags),
    reporter,
    signal,
    env: environment.variables,
    layouts: flags.layouts === undefined ? undefined : resolve(environment.cwd, flags.layouts),
    pullPackages: flags.pull,
  };
}

/** Returns the BuildKits that build; none for a rebuild check, which this machine runs. */
export function buildersOf({ environment }: Session, flags: BuilderFlags): readonly string[] {
  return flags.check === true ? [] : builderSetting(flags.builder, environment).value;
}

/** Returns the engine of this machine. Its workers run several builds, until it is closed. */
function lazyNativeEngine(waiting?: WorkerProcess): BuildOptions['engine'] {
  let kept: KeptWorkers | undefined;
  return {
    build: async (request, context) => {
      const { KeptWorkers, nativeEngine } = await import('@lkt/builder');
      kept ??= new KeptWorkers();
      return nativeEngine({ waiting, kept }).build(request, context);
    },
    close: async () => kept?.[Symbol.asyncDispose](),
  };
}

/**
 * Starts the worker for builds on this machine, while the caller plans the build.
 * @param flags as for `buildTools`
 * @returns undefined if a BuildKit builds
 */
export async function startWorker(
  session: Session,
  flags: BuilderFlags & { readonly executor?: string | undefined },
  limits: Limits,
): Promise<WorkerProcess | undefined> {
  if (builderSetting(flags.builder, session.environment).value.length > 0) return undefined;
  const { WorkerProcess } = await import('@lkt/builder/worker');
  // Opening the store loads more code than starting a worker, which opens the store itself.
  const { cacheDir } = session;
  const key = session.storeKey();
  const store = existsSync(cacheDir) ? cacheDir : (await session.openStore()).dir;
  return WorkerProcess.start({ store, key, limits, executor: flags.executor });
}

/** Opens a BuildKit engine. Validates its address at once, even if nothing needs a build. */
async function remoteEngine(
  builders: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<BuildOptions['engine']> {
  const { buildkitEngine } = await import('@lkt/buildkit');
  return buildkitEngine({ builders, environment, fallback: lazyNativeEngine() });
}
