import { dirname } from 'node:path';
import type { WorkerProcess } from '@lkt/builder/worker';
import type { BuildImageOptions, BuiltImage, ConfigFile, Format } from '@lkt/image';
import type { CachedImage } from '@lkt/image/cached-image';
import type { Store } from '@lkt/oci';
import type { BuildOptions, PinChange } from '@lkt/pkg';
import { type BuildFlags, requireConsistent } from '../flags/build.ts';
import { diskOptions } from '../flags/disk.ts';
import { formatsOf, outputOf, sbomOf } from '../flags/output.ts';
import { givenVariables } from '../flags/set.ts';
import { openSingleOutput } from '../output/single-output.ts';
import { actionPath, cacheResult, reportAllCached } from './action-cache.ts';
import { buildTools, workspaceAt } from './build-tools.ts';
import { enforceCacheMax } from './cache-limit.ts';
import { readConfigFiles } from './config-file.ts';
import { isCi } from './environment.ts';
import { openRegistries, tagResolver } from './registries/registries.ts';
import { remoteCaches } from './registries/remote-cache.ts';
import type { Session } from './session.ts';
import { trustOptions } from './trust.ts';

/** How `lkt dev` builds differently. */
export interface DevelopmentBuild extends Pick<BuildImageOptions, 'fromSources'> {
  /** Waits for the first build on this machine. */
  readonly worker?: WorkerProcess | undefined;
}

/** A built or cached image. */
export type ImageSummary = Omit<CachedImage, 'packages'> &
  Pick<BuiltImage, 'pcr11'> & {
    /** Changed entries of lock files. */
    readonly pins?: readonly PinChange[];
  };

/** Flags whose inputs the action cache tracks. */
const TRACKED_FLAGS: ReadonlySet<string> = new Set([
  'arch',
  'audit',
  'cache',
  'compress-level',
  'compressor',
  'dir',
  'format',
  'layouts',
  'locked',
  'name',
  'no-policy-found',
  'no-sbom',
  'offline',
  'provenance',
  'sbom',
  'sbom-output',
  'set',
  'strict',
]);

/** Formats that depend on nothing but the inputs that the action cache tracks. */
const TRACKED_FORMATS: ReadonlySet<unknown> = new Set([
  'kernel+initrd',
  'kernel+iso',
  'tar-kernel-initrd',
  'tar',
  'docker',
  'oci',
]);

/**
 * Builds an image from the configs that a command line names, or returns the cached result of the
 * same build if nothing changed since.
 * @param flags of `lkt build`
 * @param options never cached with `fromSources`; the caller then enforces LKT_CACHE_MAX
 * @throws LktError as `buildImage`; USAGE_INVALID for flags that contradict each other
 */
export async function buildConfigs(
  session: Session,
  names: readonly string[],
  flags: BuildFlags,
  { fromSources = false, worker }: DevelopmentBuild = {},
): Promise<ImageSummary> {
  const action = fromSources ? undefined : buildActionPath(session, names, flags);
  const hit = action === undefined ? undefined : await findCached(action, session);
  if (hit !== undefined) return hit;
  const { cwd } = session.environment;
  const { format, disks } = await checkedOutput(flags, cwd);
  const configs = await readConfigFiles(names, session);
  await using single = await openSingleOutput(flags.o, format, cwd);
  const output = single ?? outputOf(flags, names.at(-1) ?? '', cwd);
  const wanted = { ...output, ...disks, format, fromSources };
  const { image, store, pins } = await build(session, flags, configs, wanted, worker);
  // Measuring the store may take a second, which would delay the boot.
  const isLater = fromSources || image.packages.every(({ cached }) => cached);
  if (!isLater) await enforceCacheMax(session, store);
  const files = single === undefined ? image.files : [await single.finish(image.files)];
  const { toCachedImage } = await import('@lkt/image');
  const { inputs, pcr11 } = image;
  const result = toCachedImage(image);
  await cacheResult(session, store, action, { inputs, result });
  return { ...result, files, pcr11, pins };
}

/**
 * Returns the formats to build, and the options for disks.
 * @throws LktError USAGE_INVALID for flags that contradict each other; NOT_FOUND for a missing key
 */
export async function checkedOutput(
  flags: BuildFlags,
  cwd: string,
): Promise<{
  readonly format: readonly Format[];
  readonly disks: Pick<BuildImageOptions, 'diskSize' | 'efiSigner'>;
}> {
  requireConsistent(flags, cwd);
  const format = formatsOf(flags);
  return { format, disks: await diskOptions(flags, format, cwd) };
}

/** Returns the cached result of the same build, if nothing changed since. */
async function findCached(path: string, session: Session): Promise<CachedImage | undefined> {
  const { environment, sealed, signal } = session;
  const { findCachedImage } = await import('@lkt/image/cached-image');
  const image = await findCachedImage(sealed, path, environment.variables, Date.now(), signal);
  if (image !== undefined) await reportAllCached(session.reporter, image.packages);
  return image;
}

/** Builds the image, in the workspace of the first config. */
async function build(
  session: Session,
  flags: BuildFlags,
  configs: readonly ConfigFile[],
  output: Pick<
    BuildImageOptions,
    'diskSize' | 'efiSigner' | 'format' | 'fromSources' | 'name' | 'outDir'
  >,
  worker: WorkerProcess | undefined,
): Promise<{
  readonly image: BuiltImage;
  readonly store: Store;
  readonly pins: readonly PinChange[];
}> {
  const { buildImage, createImageAudit, DERIVED } = await import('@lkt/image');
  const { environment, signal } = session;
  const { cwd, home } = environment;
  const top = dirname(configs[0]?.absolute ?? cwd);
  const platform = { os: 'linux', architecture: flags.arch };
  await using caches = await remoteCaches(session, flags);
  const store = await session.openStore({ ignored: flags['no-cached-segments'] ? DERIVED : [] });
  const tools = {
    ...(await buildTools(session, flags, { store, worker })),
    ...caches.tools,
    platforms: [platform],
    attest: output.fromSources !== true,
  };
  const pins = flags.pin ? await pinConfigs(session, flags, configs, tools) : [];
  const audit = flags.audit
    ? await createImageAudit({ store, top, cwd, isGate: flags.strict, signal })
    : undefined;
  const options = {
    ...output,
    ...sbomOf(flags),
    store,
    reporter: session.reporter,
    signal,
    trust: await trustOptions(session, flags),
    configs,
    set: givenVariables(flags),
    locked: flags.locked,
    requirePolicy: isPolicyRequired(session, flags),
    platform,
    homeDir: home,
    compressor: flags.compressor,
    level: flags['compress-level'],
    provenance: flags.provenance ?? flags.o === undefined,
    audit,
  };
  const image = await buildImage(() => workspaceAt(session, top), options, tools);
  return { image, store, pins };
}

/** Writes the lock files of configs, and returns their changes. */
async function pinConfigs(
  session: Session,
  flags: BuildFlags,
  configs: readonly ConfigFile[],
  tools: BuildOptions,
): Promise<readonly PinChange[]> {
  const { pin } = await import('@lkt/image');
  const { cwd } = session.environment;
  const workspace = await workspaceAt(session, dirname(configs[0]?.absolute ?? cwd));
  await using registry = flags.offline ? undefined : await openRegistries(session, flags);
  const resolveTag = tagResolver(session, registry, workspace);
  const targets = { packages: [], configs, set: givenVariables(flags) };
  const trust = await trustOptions(session, flags);
  const requirePolicy = isPolicyRequired(session, flags);
  const options = { intoLocks: true, trust, requirePolicy, resolveTag };
  return await pin(workspace, { ...targets, ...options }, tools);
}

function isPolicyRequired({ environment }: Session, flags: BuildFlags): boolean {
  return (flags['no-policy-found'] ?? (isCi(environment) ? 'error' : 'ignore')) === 'error';
}

/** Returns the action cache's entry for a build; undefined for one that is never cached. */
function buildActionPath(
  session: Session,
  args: readonly string[],
  flags: Readonly<Record<string, unknown>>,
): string | undefined {
  if (args.some((name) => name === '-' || /^https?:/i.test(name))) return undefined;
  const { format, compressor } = flags;
  // The xz program may change between builds.
  if (compressor === 'xz') return undefined;
  if (Array.isArray(format) && !format.every((name) => TRACKED_FORMATS.has(name))) return undefined;
  if ((session.environment.variables['LKT_TRUSTED_ROOT'] ?? '') !== '') return undefined;
  const area = 'segments';
  return actionPath(session, { area, name: 'build', args, flags, trackedFlags: TRACKED_FLAGS });
}
