import { resolve } from 'node:path';
import { platform } from 'node:process';
import type { Limits } from '@lkt/builder';
import type { WorkerProcess } from '@lkt/builder/worker';
import type { BuiltPackage } from '@lkt/pkg';
import type { FoundAction } from '@lkt/pkg/action-cache';
import type { CheckReport } from '@lkt/rebuild';
import { type CommonFlags, LktCommand } from '../../command.ts';
import { givenArgs } from '../../flags/build-args.ts';
import { secretFlags, sshFlags } from '../../flags/credentials.ts';
import { limitFlags, limitsOf } from '../../flags/limits.ts';
import { linuxkitBuildFlags, noop, unsupported } from '../../flags/linuxkit.ts';
import {
  countFlag,
  type FlagValues,
  listFlag,
  optionalArgs,
  switchFlag,
  valueFlag,
} from '../../flags/options.ts';
import {
  builderFlags,
  cacheToFlag,
  devFlag,
  givenName,
  hashFlags,
  packageFlags,
  packageSourceFlags,
  requireDirsOrAll,
} from '../../flags/package.ts';
import { platformFlags } from '../../flags/platform.ts';
import { pullFlags } from '../../flags/registry.ts';
import { buildTools, startWorker, workspaceAt } from '../../session/build-tools.ts';
import { remoteCaches } from '../../session/registries/remote-cache.ts';
import type { Session } from '../../session/session.ts';
import { recordSteps, timelineFlag } from '../../session/timeline.ts';
import { findTargets, orderOf, usableParts } from '../../targets/package-targets.ts';

interface Built {
  readonly name: string;
  readonly reference: string;
  readonly digest: string;
  readonly cached: boolean;
  /** Whether the user named the package; false for a dependency. */
  readonly target: boolean;
  /** The results of `--check`, one for each platform. */
  readonly checks?: readonly CheckReport[];
  /** The names of the image in Docker, with `--docker`. */
  readonly docker?: readonly string[];
}

interface Summary {
  readonly packages: readonly Built[];
}

/**
 * Flags whose inputs the action cache tracks. Limits are among them, since an entry is stored only
 * for a build that ran no step.
 */
const TRACKED_FLAGS: ReadonlySet<string> = new Set([
  'all',
  'build-arg',
  'cache',
  'cpus',
  'deps',
  'dev',
  'hash',
  'jobs',
  'max-memory',
  'max-output',
  'max-processes',
  'max-time',
  'offline',
  'org',
  'platforms',
  'skip-platforms',
  'tag',
]);

export class PkgBuild extends LktCommand {
  static override summary = 'Build packages and their dependencies';
  static override description =
    'Prints the reference of each package. Skips packages whose sources, arguments and bases are unchanged.';
  static override examples = [
    '<%= config.bin %> pkg build --all --jobs 4',
    '<%= config.bin %> pkg build --force --no-cache --deps pkg/sshd',
  ];
  static override args = {
    dir: optionalArgs('package directory, with a build.yml'),
  };
  static override flags = {
    ...packageFlags,
    ...platformFlags,
    ...builderFlags,
    ...pullFlags,
    ...packageSourceFlags,
    all: switchFlag('build all packages of the checkout that support a platform'),
    'build-arg': listFlag(
      'NAME=VALUE',
      'value of an ARG, instead of that in build.yml; appends -args-… to the tag',
    ),
    'build-arg-file': listFlag('FILE', 'file of --build-arg values, one per line'),
    ...cacheToFlag,
    check: switchFlag('build the packages again in a varied environment, and explain differences', {
      exclusive: ['builder'],
    }),
    deps: switchFlag('print, check and rebuild dependencies too'),
    ...devFlag,
    docker: switchFlag("also load the images into Docker as TAG-ARCH, and this machine's as TAG"),
    dockerfile: valueFlag('NAME', 'Dockerfile to use, relative to each named package', {
      exclusive: ['all'],
    }),
    executor: valueFlag(
      'NAME',
      'executor of RUN: the built-in init (default), bwrap, runc, crun, or the path of an OCI runtime',
    ),
    force: switchFlag('rebuild even if the package is in the store'),
    hash: hashFlags.hash,
    jobs: countFlag('N', 'packages to build in parallel; default: one per processor'),
    ...limitFlags,
    'no-cache': switchFlag('ignore the step cache'),
    org: hashFlags.org,
    secret: listFlag('id=ID,src=FILE|env=NAME', 'secret for RUN --mount=type=secret; never stored'),
    ssh: listFlag('default|ID=SOCKET', 'SSH agent for RUN --mount=type=ssh: yours, or at a socket'),
    tag: hashFlags.tag,
    ...timelineFlag,
  };

  static override linuxkit = {
    ...linuxkitBuildFlags,
    'disable-cache': unsupported('switch', 'use --no-cache, or write "disable-cache" in build.yml'),
    manifest: noop(),
    nobuild: unsupported('switch', 'use it with --push'),
    release: unsupported('value', 'use it with --push'),
  };

  async run(): Promise<Summary> {
    const { args, flags } = await this.parse(PkgBuild);
    const dirs = args.dir ?? [];
    requireDirsOrAll(dirs, flags.all);
    const limits = limitsOf(flags);
    const session = await this.begin(flags);
    const isCertain = flags.force && flags['no-cache'];
    await using certain = isCertain ? await earlyWorker(session, flags, limits) : undefined;
    // Imported late, so that the worker starts earlier.
    const { actionPath } = await import('../../session/action-cache.ts');
    const action = actionPath(session, {
      area: 'results',
      name: 'packages',
      args: dirs,
      flags,
      trackedFlags: TRACKED_FLAGS,
    });
    const summary = await recordSteps(session, flags.timeline, async (recorded) => {
      const found = await findPackages(recorded, action);
      if (found?.isWhole !== true) {
        // A package has changed since the last run, or that run built one: then it left no entry.
        const isLikely = action !== undefined && certain === undefined;
        await using likely = isLikely ? await earlyWorker(recorded, flags, limits) : undefined;
        return await buildAll(recorded, dirs, flags, {
          limits,
          worker: certain ?? likely,
          action,
          found,
        });
      }
      const packages = Object.values(found.parts).map(({ result }) => result);
      const { reportAllCached } = await import('../../session/action-cache.ts');
      await reportAllCached(
        recorded.reporter,
        packages.map(({ name }) => name),
      );
      return { packages };
    });
    this.endProgress();
    for (const { reference, target } of summary.packages) if (target) this.log(reference);
    return summary;
  }
}

type BuildFlags = FlagValues<typeof PkgBuild.flags> & CommonFlags;

/** Starts the worker while the build is planned. A build without a step to run ends it unused. */
async function earlyWorker(
  session: Session,
  flags: BuildFlags,
  limits: Limits,
): Promise<WorkerProcess | undefined> {
  return platform === 'linux' ? startWorker(session, flags, limits) : undefined;
}

/** Returns the cached results of the same command, of the packages that have not changed since. */
async function findPackages(
  { environment, sealed }: Session,
  action: string | undefined,
): Promise<FoundAction<Built> | undefined> {
  if (action === undefined) return undefined;
  const { findAction } = await import('@lkt/pkg/action-cache');
  return findAction<Built>(sealed.read(action), environment.variables);
}

interface CommandState {
  readonly limits: Limits;
  readonly worker: WorkerProcess | undefined;
  /** The path of the entry in the action cache. */
  readonly action: string | undefined;
  readonly found: FoundAction<Built> | undefined;
}

/** Builds the packages, with everything that the flags add: checks, caches and Docker. */
async function buildAll(
  session: Session,
  dirs: readonly string[],
  flags: BuildFlags,
  { limits, worker, action, found }: CommandState,
): Promise<Summary> {
  const docker = flags.docker === true ? await import('../../session/docker-load.ts') : undefined;
  await docker?.checkDocker(session);
  const { reporter, signal } = session;
  const { cwd, variables } = session.environment;
  const naming = givenName(flags, session.environment);
  const secrets = secretFlags(flags.secret ?? [], variables, cwd);
  const ssh = sshFlags(flags.ssh ?? [], variables, cwd);
  const buildArgs = await givenArgs(flags['build-arg'] ?? [], flags['build-arg-file'] ?? [], cwd);
  const { buildPackages, recordPackages } = await import('@lkt/pkg');
  const workspace = await workspaceAt(session, cwd, {
    buildYml: flags['build-yml'],
    dockerfile: flags.dockerfile,
  });
  const known = usableParts(workspace, flags, found);
  const targets = await findTargets(workspace, dirs, flags, known);
  const targetDirs = new Set(targets.dirs);
  await using caches = await remoteCaches(session, flags);
  const tools = { ...(await buildTools(session, flags, { worker })), ...caches.tools };
  const verbose = (flags.verbose ?? 1) > 1;
  const { packages: built, inputs } = await buildPackages(workspace, targets.changed, {
    ...tools,
    force: flags.force,
    noCache: flags['no-cache'],
    check: flags.check,
    checkEveryStep: verbose,
    deps: flags.deps,
    buildArgs,
    naming,
    run: { limits, secrets, ssh, executor: flags.executor },
    jobs: flags.jobs,
    platforms: targets.platforms,
    unchanged:
      known && new Map(Object.entries(known.parts).map(([dir, { result }]) => [dir, result.name])),
  });
  await caches.push();
  const isUnchanged = built.every(({ cached }) => cached);
  if (!isUnchanged) {
    const { enforceCacheMax } = await import('../../session/cache-limit.ts');
    const { prepareImages } = await import('@lkt/image/prepare');
    await prepareImages(tools.store, workspace, built, signal);
    await enforceCacheMax(session, tools.store);
  }
  if (flags.check === true) {
    const { reportChecks } = await import('../../output/check-report.ts');
    await reportChecks(built, { reporter, verbose });
  }
  const results = new Map<string, Built>();
  for (const one of built) {
    const isNamed = targetDirs.has(one.item.dir);
    const target = flags.deps === true || isNamed;
    results.set(one.item.dir, {
      name: one.item.name,
      reference: await pinOf(one, isNamed && isRenamed(naming)),
      digest: one.index.digest,
      cached: one.cached,
      target,
      checks: flags.check === true ? one.checks : undefined,
      docker: target ? await docker?.loadIntoDocker(session, tools.store, one) : undefined,
    });
  }
  const order = await orderOf(targets.dirs, built, known);
  // A symlink may lead to another package on the next run.
  if (dirs.every((dir) => targetDirs.has(resolve(cwd, dir)))) {
    const { cacheAction } = await import('../../session/action-cache.ts');
    await cacheAction(session, tools.store, action, async () =>
      recordPackages(inputs, results, known, order),
    );
  }
  return { packages: order.flatMap((dir) => results.get(dir) ?? known?.parts[dir]?.result ?? []) };
}

function isRenamed(naming: ReturnType<typeof givenName>): boolean {
  return Object.values(naming).some((part) => part !== undefined);
}

/** Returns the reference of a package with its digest; by a name of the command line, its tag. */
async function pinOf(built: BuiltPackage, hasGivenName: boolean): Promise<string> {
  const { pinOf: pinInSources } = await import('@lkt/pkg');
  const { familiarReference, parseReference } = await import('@lkt/oci');
  const { item, index, references } = built;
  const [tag = item.name] = references.map((name) => familiarReference(parseReference(name)));
  const own = hasGivenName ? undefined : pinInSources(built);
  return own ?? `${hasGivenName ? tag : item.name}@${index.digest}`;
}
