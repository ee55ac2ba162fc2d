import type { CommandClass } from './command.ts';
import type { CommandId } from './commands.ts';
import { AuditElf } from './commands/audit/elf.ts';
import { AuditImage } from './commands/audit/image.ts';
import { AuditKernel } from './commands/audit/kernel.ts';
import { AuditRootfs } from './commands/audit/rootfs.ts';
import { Build } from './commands/build.ts';
import { CacheClean } from './commands/cache/clean.ts';
import { CacheDu } from './commands/cache/du.ts';
import { CacheExport } from './commands/cache/export.ts';
import { CacheImport } from './commands/cache/import.ts';
import { CacheLs } from './commands/cache/ls.ts';
import { CachePrune } from './commands/cache/prune.ts';
import { CachePull } from './commands/cache/pull.ts';
import { CachePush } from './commands/cache/push.ts';
import { CacheRm } from './commands/cache/rm.ts';
import { CacheServe } from './commands/cache/serve.ts';
import { CacheVerify } from './commands/cache/verify.ts';
import { CiPlan } from './commands/ci-plan.ts';
import { Completion } from './commands/completion.ts';
import { Diff } from './commands/diff.ts';
import { Env } from './commands/env.ts';
import { Graph } from './commands/graph.ts';
import { Inspect } from './commands/inspect.ts';
import { KernelUpdate } from './commands/kernel-update.ts';
import { KeyGenerate } from './commands/key-generate.ts';
import { MetadataCreate } from './commands/metadata-create.ts';
import { Outdated } from './commands/outdated.ts';
import { Pin } from './commands/pin.ts';
import { PkgAttestRebuild } from './commands/pkg/attest-rebuild.ts';
import { PkgBuild } from './commands/pkg/build.ts';
import { PkgLock } from './commands/pkg/lock.ts';
import { PkgManifest } from './commands/pkg/manifest.ts';
import { PkgProvenance } from './commands/pkg/provenance.ts';
import { PkgPush } from './commands/pkg/push.ts';
import { PkgRemoteTag } from './commands/pkg/remote-tag.ts';
import { PkgSbom } from './commands/pkg/sbom.ts';
import { PkgShowTag } from './commands/pkg/show-tag.ts';
import { PkgSign } from './commands/pkg/sign.ts';
import { Push } from './commands/push.ts';
import { Run } from './commands/run.ts';
import { Schema } from './commands/schema.ts';
import { Serve } from './commands/serve.ts';
import { Verify } from './commands/verify.ts';
import { Version } from './commands/version.ts';

/** All of them at once, as oclif's help reads them. */
export const commands: Readonly<Record<CommandId, CommandClass>> = {
  'audit:elf': AuditElf,
  'audit:image': AuditImage,
  'audit:kernel': AuditKernel,
  'audit:rootfs': AuditRootfs,
  build: Build,
  'cache:clean': CacheClean,
  'cache:du': CacheDu,
  'cache:export': CacheExport,
  'cache:import': CacheImport,
  'cache:ls': CacheLs,
  'cache:prune': CachePrune,
  'cache:pull': CachePull,
  'cache:push': CachePush,
  'cache:rm': CacheRm,
  'cache:serve': CacheServe,
  'cache:verify': CacheVerify,
  'ci:plan': CiPlan,
  completion: Completion,
  diff: Diff,
  env: Env,
  graph: Graph,
  inspect: Inspect,
  'kernel:update': KernelUpdate,
  'key:generate': KeyGenerate,
  'metadata:create': MetadataCreate,
  outdated: Outdated,
  pin: Pin,
  'pkg:attest-rebuild': PkgAttestRebuild,
  'pkg:build': PkgBuild,
  'pkg:lock': PkgLock,
  'pkg:manifest': PkgManifest,
  'pkg:provenance': PkgProvenance,
  'pkg:push': PkgPush,
  'pkg:remote-tag': PkgRemoteTag,
  'pkg:sbom': PkgSbom,
  'pkg:show-tag': PkgShowTag,
  'pkg:sign': PkgSign,
  push: Push,
  run: Run,
  schema: Schema,
  serve: Serve,
  verify: Verify,
  version: Version,
};

for (const [id, command] of Object.entries(commands)) command.id = id;
