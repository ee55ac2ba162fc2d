import { join } from 'node:path';
import { canonicalJson, digestHex, digestOf, type Reporter } from '@lkt/core';
import { buildId } from '@lkt/core/program';
import type { Store } from '@lkt/oci';
import type { ActionInputs } from '@lkt/pkg';
import type { CachedAction } from '@lkt/pkg/action-cache';
import type { Session } from './session.ts';

/** Flags that don't affect the result. */
const IGNORED_FLAGS: ReadonlySet<string> = new Set([
  'json',
  'progress',
  'quiet',
  'timeline',
  'verbose',
]);

/** Shell bookkeeping variables, and one that no result depends on. */
const IGNORED_VARIABLES: ReadonlySet<string> = new Set([
  '_',
  'LKT_STORE_KEY',
  'OLDPWD',
  'PWD',
  'SHLVL',
]);

/** A command line whose result may be in the action cache. */
export interface Action {
  /** The cache area of the store that holds the entry. */
  readonly area: string;
  readonly name: string;
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, unknown>>;
  /** Flags whose inputs are all tracked. Any other flag makes the action uncacheable. */
  readonly trackedFlags: ReadonlySet<string>;
}

/**
 * Returns the path of the action's cache entry. Its name is a hash over everything that cannot
 * change while the command runs: program, arguments, flags, directory, user and environment.
 * @returns undefined for an action that is never cached: it has an untracked flag, or lkt runs from
 * its sources, whose version is unknown
 */
export function actionPath(
  { environment: { cwd, home, variables }, cacheDir }: Session,
  { area, name, args, flags, trackedFlags }: Action,
): string | undefined {
  const program = buildId(import.meta.url);
  if (program === undefined) return undefined;
  const given = Object.entries(flags).filter(
    ([flag, value]) => value !== undefined && !IGNORED_FLAGS.has(flag),
  );
  if (!given.every(([flag, value]) => trackedFlags.has(flag) || value === false)) return undefined;
  const read = Object.entries(variables).filter(([variable]) => !IGNORED_VARIABLES.has(variable));
  const key = {
    version: 4,
    name,
    program,
    cwd,
    home,
    user: process.getuid?.() ?? 0,
    args,
    flags: Object.fromEntries(given),
    variables: Object.fromEntries(read),
  };
  return join(cacheDir, area, `${digestHex(digestOf(canonicalJson(key)))}.${name}`);
}

/**
 * Stores the result of an action, unless it printed a warning, which the next run has to repeat, or
 * an input cannot be tracked.
 * @param path from `actionPath`
 */
export async function cacheResult(
  session: Session,
  store: Store,
  path: string | undefined,
  { inputs, result }: { inputs: ActionInputs | undefined; result: object },
): Promise<void> {
  if (inputs === undefined) return;
  const { recordAction } = await import('@lkt/pkg');
  await cacheAction(session, store, path, async () => recordAction(inputs, result));
}

/** As `cacheResult`, with the function that makes the entry. */
export async function cacheAction(
  session: Session,
  store: Store,
  path: string | undefined,
  record: () => Promise<CachedAction<unknown> | undefined>,
): Promise<void> {
  if (path === undefined || session.hasWarned()) return;
  const { storeAction } = await import('@lkt/pkg');
  const action = await record();
  if (action !== undefined) await storeAction(store, path, action);
}

/** Reports all packages of a cached result as cached. */
export async function reportAllCached(
  reporter: Reporter,
  packages: readonly string[],
): Promise<void> {
  const { reportCached } = await import('@lkt/pkg/action-cache');
  reporter.emit({ kind: 'total', packages: packages.length });
  reportCached(reporter, packages);
}
