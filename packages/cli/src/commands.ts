import type { CommandClass } from './command.ts';
import { usageLine } from './help/usage.ts';

/** Loaders of the commands, by id. oclif writes the space in `cache ls` as a colon. */
const COMMANDS = {
  'audit:elf': async () => (await import('./commands/audit/elf.ts')).AuditElf,
  'audit:image': async () => (await import('./commands/audit/image.ts')).AuditImage,
  'audit:kernel': async () => (await import('./commands/audit/kernel.ts')).AuditKernel,
  'audit:rootfs': async () => (await import('./commands/audit/rootfs.ts')).AuditRootfs,
  build: async () => (await import('./commands/build.ts')).Build,
  'cache:adopt': async () => (await import('./commands/cache/adopt.ts')).CacheAdopt,
  'cache:clean': async () => (await import('./commands/cache/clean.ts')).CacheClean,
  'cache:du': async () => (await import('./commands/cache/du.ts')).CacheDu,
  'cache:export': async () => (await import('./commands/cache/export.ts')).CacheExport,
  'cache:import': async () => (await import('./commands/cache/import.ts')).CacheImport,
  'cache:ls': async () => (await import('./commands/cache/ls.ts')).CacheLs,
  'cache:prune': async () => (await import('./commands/cache/prune.ts')).CachePrune,
  'cache:pull': async () => (await import('./commands/cache/pull.ts')).CachePull,
  'cache:push': async () => (await import('./commands/cache/push.ts')).CachePush,
  'cache:rm': async () => (await import('./commands/cache/rm.ts')).CacheRm,
  'cache:serve': async () => (await import('./commands/cache/serve.ts')).CacheServe,
  'cache:verify': async () => (await import('./commands/cache/verify.ts')).CacheVerify,
  'ci:plan': async () => (await import('./commands/workspace/ci-plan.ts')).CiPlan,
  'collection:update': async () =>
    (await import('./commands/workspace/collection-update.ts')).UpdateCollection,
  completion: async () => (await import('./commands/completion.ts')).Completion,
  dev: async () => (await import('./commands/machine/dev.ts')).Dev,
  diff: async () => (await import('./commands/diff.ts')).Diff,
  doctor: async () => (await import('./commands/doctor.ts')).Doctor,
  env: async () => (await import('./commands/env.ts')).Env,
  'fleet:apply': async () => (await import('./commands/fleet/apply.ts')).FleetApply,
  'fleet:drain': async () => (await import('./commands/fleet/drain.ts')).FleetDrain,
  'fleet:image': async () => (await import('./commands/fleet/image.ts')).FleetImage,
  'fleet:plan': async () => (await import('./commands/fleet/plan.ts')).FleetPlanCommand,
  'fleet:replace': async () => (await import('./commands/fleet/replace.ts')).FleetReplace,
  'fleet:rollback': async () => (await import('./commands/fleet/rollback.ts')).FleetRollback,
  'fleet:serve': async () => (await import('./commands/fleet/serve.ts')).FleetServe,
  'fleet:simulate': async () => (await import('./commands/fleet/simulate.ts')).FleetSimulate,
  'fleet:status': async () => (await import('./commands/fleet/status.ts')).FleetStatus,
  'fleet:watch': async () => (await import('./commands/fleet/watch.ts')).FleetWatch,
  graph: async () => (await import('./commands/graph.ts')).Graph,
  init: async () => (await import('./commands/workspace/init.ts')).Init,
  inspect: async () => (await import('./commands/inspect.ts')).Inspect,
  'kernel:update': async () => (await import('./commands/kernel-update.ts')).KernelUpdate,
  'key:generate': async () => (await import('./commands/key-generate.ts')).KeyGenerate,
  login: async () => (await import('./commands/registry/login.ts')).Login,
  logout: async () => (await import('./commands/registry/logout.ts')).Logout,
  logs: async () => (await import('./commands/machine/logs.ts')).Logs,
  'metadata:create': async () => (await import('./commands/metadata-create.ts')).MetadataCreate,
  migrate: async () => (await import('./commands/workspace/migrate.ts')).Migrate,
  'new:image': async () => (await import('./commands/workspace/new-image.ts')).NewImage,
  'new:kernel': async () => (await import('./commands/workspace/new-kernel.ts')).NewKernel,
  'new:package': async () => (await import('./commands/workspace/new-package.ts')).NewPackage,
  outdated: async () => (await import('./commands/workspace/outdated.ts')).Outdated,
  pin: async () => (await import('./commands/workspace/pin.ts')).Pin,
  'pkg:attest-rebuild': async () =>
    (await import('./commands/pkg/attest-rebuild.ts')).PkgAttestRebuild,
  'pkg:build': async () => (await import('./commands/pkg/build.ts')).PkgBuild,
  'pkg:lock': async () => (await import('./commands/pkg/lock.ts')).PkgLock,
  'pkg:manifest': async () => (await import('./commands/pkg/manifest.ts')).PkgManifest,
  'pkg:provenance': async () => (await import('./commands/pkg/provenance.ts')).PkgProvenance,
  'pkg:push': async () => (await import('./commands/pkg/push.ts')).PkgPush,
  'pkg:remote-tag': async () => (await import('./commands/pkg/remote-tag.ts')).PkgRemoteTag,
  'pkg:sbom': async () => (await import('./commands/pkg/sbom.ts')).PkgSbom,
  'pkg:show-tag': async () => (await import('./commands/pkg/show-tag.ts')).PkgShowTag,
  'pkg:sign': async () => (await import('./commands/pkg/sign.ts')).PkgSign,
  push: async () => (await import('./commands/push.ts')).Push,
  run: async () => (await import('./commands/run.ts')).Run,
  schema: async () => (await import('./commands/schema.ts')).Schema,
  serve: async () => (await import('./commands/serve.ts')).Serve,
  ssh: async () => (await import('./commands/machine/ssh.ts')).Ssh,
  test: async () => (await import('./commands/machine/test.ts')).Test,
  'trust:show': async () => (await import('./commands/trust-show.ts')).TrustShow,
  'trust:update': async () => (await import('./commands/trust-update.ts')).TrustUpdate,
  update: async () => (await import('./commands/workspace/update.ts')).Update,
  verify: async () => (await import('./commands/verify.ts')).Verify,
  version: async () => (await import('./commands/version.ts')).Version,
  vulns: async () => (await import('./commands/vulns.ts')).Vulns,
} satisfies Readonly<Record<string, () => Promise<CommandClass>>>;

type CommandId = keyof typeof COMMANDS;

export const commandIds: readonly string[] = Object.keys(COMMANDS);

/** Loads every command class, by id. */
export async function loadAllCommands(): Promise<Readonly<Record<string, CommandClass>>> {
  const loaded = commandIds.map(async (id) => [id, await loadCommand(id)] as const);
  return Object.fromEntries(await Promise.all(loaded));
}

export async function loadCommand(id: string): Promise<CommandClass> {
  const command: CommandClass = await COMMANDS[id as CommandId]();
  command.id = id;
  command.usage = usageLine(command);
  return command;
}
