import { dirname, relative, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type {
  BuildImageOptions,
  BuiltImage,
  ConfigFile,
  ImageAudit,
  TrustedImage,
} from '@lkt/image';
import type { CachedImage } from '@lkt/image/cached-image';
import type { Store } from '@lkt/oci';
import type { BuildOptions, PinChange } from '@lkt/pkg';
import { type CommonFlags, LktCommand } from '../command.ts';
import { buildAuditFlags } from '../flags/audit.ts';
import { diskFlags, diskOptions } from '../flags/disk.ts';
import { unsupported, warn, warnIgnored } from '../flags/linuxkit.ts';
import {
  choiceFlag,
  Flags,
  grouped,
  requiredArgs,
  switchFlag,
  type ParsedFlags,
} from '../flags/options.ts';
import {
  compressorFlags,
  formatsOf,
  outputFlags,
  outputOf,
  sbomFlags,
  sbomOf,
} from '../flags/output.ts';
import { builderFlags, packageSourceFlags } from '../flags/package.ts';
import { imageArchFlag, requireAmd64 } from '../flags/platform.ts';
import { pullFlags } from '../flags/registry.ts';
import { givenVariables, setFlags } from '../flags/set.ts';
import { pinLines } from '../output/pin-lines.ts';
import { openSingleOutput } from '../output/single-output.ts';
import { actionPath, cacheResult, reportCached } from '../session/action-cache.ts';
import { buildTools, workspaceAt } from '../session/build-tools.ts';
import { enforceCacheMax } from '../session/cache-limit.ts';
import { readConfigFiles } from '../session/config-file.ts';
import { isCi } from '../session/environment.ts';
import { openRegistries, tagResolver } from '../session/registries.ts';
import { remoteCaches } from '../session/remote-cache.ts';
import type { Session } from '../session/session.ts';
import { recordSteps, timelineFlag } from '../session/timeline.ts';
import { trustOptions } from '../session/trust.ts';

interface Result {
  /** Changed entries of lock files. */
  readonly pins?: readonly PinChange[];
  /** The findings in the images. */
  readonly audit?: Omit<ImageAudit, 'until'>;
  /** The value of each config variable. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly files: readonly {
    readonly path: string;
    readonly size: number;
    readonly digest: string;
  }[];
  readonly minimumMemory?: number;
  /** The value of TPM register 11 when the EFI program starts. */
  readonly pcr11?: string;
  /** Permissions of containers beyond the defaults, such as `services/docker: mount`. */
  readonly allowances?: readonly string[];
  /** Names of the trust policies in force. */
  readonly policies?: readonly string[];
  /** The policy result of each image, where a policy requires one. */
  readonly trust?: readonly TrustedImage[];
}

type BuildFlags = ParsedFlags<typeof Build.flags> & CommonFlags;

/** A built or cached image. */
type Summary = Omit<CachedImage, 'packages'> &
  Pick<BuiltImage, 'pcr11'> & { readonly pins?: readonly PinChange[] };

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

/** LinuxKit's `--input-tar` names the output of an earlier build, to reuse its parts. */
const INPUT_TAR_WARNING = '--input-tar has no effect: lkt always reuses unchanged parts';

export class Build extends LktCommand {
  static override summary = 'Build an image from its config';
  static override description = `Merges several configs from left to right; "-" is standard input, and https://… is downloaded. Builds packages missing from the store first; each must have its pinned digest. Verifies the signatures that a policy requires ("trust" in a config, or trust.yml) before it writes anything.

Writes the files of each format, such as NAME-kernel, NAME-initrd.img and NAME-cmdline (docs/formats.md), with SBOM and provenance (docs/attestations.md). The same configs produce the same bytes.`;
  static override examples = [
    '<%= config.bin %> build examples/sshd.yml',
    '<%= config.bin %> build --format tar --dir out minimal.yml debug.yml',
  ];
  static override args = {
    config: requiredArgs('an image config'),
  };
  static override flags = {
    ...builderFlags,
    ...buildAuditFlags,
    ...packageSourceFlags,
    ...pullFlags,
    ...setFlags,
    'dry-run': switchFlag('print the merged config with variables replaced, and build nothing'),
    'input-tar': Flags.string({ hidden: true }),
    locked: switchFlag('reject images without a digest: tags, and packages named by directory', {
      helpGroup: 'SIGNATURE',
    }),
    'no-cached-segments': switchFlag(
      'derive everything in the image again from its packages, instead of reusing cached parts',
    ),
    pin: switchFlag(
      'write the digests of tags and packages into lock files beside the configs first: x.lock.yml of x.yml',
      { helpGroup: 'SIGNATURE', exclusive: ['dry-run', 'locked'] },
    ),
    'no-policy-found': choiceFlag(
      ['error', 'ignore'],
      'what to do without a trust policy; default: error if CI=true, else ignore',
      { helpGroup: 'SIGNATURE' },
    ),
    ...outputFlags,
    ...diskFlags,
    ...grouped('OUTPUT', imageArchFlag),
    ...compressorFlags,
    ...sbomFlags,
    ...grouped('OUTPUT', timelineFlag),
  };

  static override linuxkit = {
    'decompress-kernel': unsupported('switch', 'put an uncompressed kernel into its package'),
    docker: warnIgnored(
      'switch',
      'images are in the store or a registry; to use one from Docker: docker save NAME | lkt cache import -',
    ),
    'sbom-current-time': warnIgnored(
      'switch',
      'the SBOM has the time of the image, so that it is reproducible',
    ),
  };

  async run(): Promise<Result | { readonly config: string }> {
    const { args, flags } = await this.parse(Build);
    if (flags.o === '-' && this.jsonEnabled())
      throw new LktError('USAGE_INVALID', '--o - and --json both write to standard output', {
        fix: 'name a file',
      });
    requireAmd64(flags.arch, 'builds');
    const session = await this.begin(flags);
    return recordSteps(session, flags.timeline, async (recorded) =>
      this.#build(recorded, args.config, flags),
    );
  }

  async #build(
    session: Session,
    names: readonly string[],
    flags: BuildFlags,
  ): Promise<Result | { readonly config: string }> {
    if (flags['input-tar'] !== undefined) warn(session.reporter, [INPUT_TAR_WARNING]);
    const action = buildActionPath(session, names, flags);
    const hit = action === undefined ? undefined : await this.#cached(action, session);
    if (hit !== undefined) return hit;
    const { cwd } = session.environment;
    requireConsistent(flags, cwd);
    const format = formatsOf(flags);
    const disks = await diskOptions(flags, format, cwd);
    const configs = await readConfigFiles(names, session);
    if (flags['dry-run']) {
      const { mergedConfig } = await import('@lkt/image');
      const config = await mergedConfig(configs, { set: givenVariables(flags) });
      this.endProgress();
      this.log(config.trimEnd());
      return { config };
    }
    await using single = await openSingleOutput(flags.o, format, cwd);
    const output = single ?? outputOf(flags, names.at(-1) ?? '', cwd);
    const { image, store, top, pins } = await build(session, flags, configs, {
      ...output,
      ...disks,
      format,
    });
    if (image.packages.some(({ cached }) => !cached)) await enforceCacheMax(session, store);
    const files = single === undefined ? image.files : [await single.finish(image.files)];
    if (flags.o === '-') {
      warn(session.reporter, image.warnings);
      this.endProgress();
      return { files };
    }
    const { toCachedImage } = await import('@lkt/image');
    const { inputs, pcr11 } = image;
    const result = toCachedImage(image);
    await cacheResult(session, store, action, { inputs, start: top, result });
    return this.#show({ ...result, files, pcr11, pins }, session);
  }

  /** Returns the cached result of the same build, if nothing changed since. */
  async #cached(path: string, session: Session): Promise<Result | undefined> {
    const { environment, sealed, signal } = session;
    const { findCachedImage } = await import('@lkt/image/cached-image');
    const image = await findCachedImage(sealed, path, environment.variables, Date.now(), signal);
    if (image === undefined) return undefined;
    reportCached(session.reporter, image.packages);
    return this.#show(image, session);
  }

  #show(summary: Summary, { environment: { cwd }, reporter }: Session): Result {
    // After the result was cached: a cached result repeats its own warnings.
    warn(reporter, summary.warnings);
    const { allowances, audit, files, minimumMemory, pcr11, pins = [], policies } = summary;
    const { trust, variables } = summary;
    this.endProgress();
    for (const line of pinLines(pins)) this.log(line);
    for (const { path, size, digest } of files)
      this.log(`${shortPath(cwd, path)}  ${(size / 1e6).toFixed(1)} MB  ${digest}`);
    if (pcr11 !== undefined) this.log(`PCR 11  ${pcr11}`);
    if (audit !== undefined) this.log(auditLine(audit));
    if (policies.length > 0) this.log(`policy  ${policies.join(', ')}`);
    for (const line of allowances) this.log(`allows  ${line}`);
    return {
      files,
      pins: pins.length === 0 ? undefined : pins,
      ...auditResult(audit),
      minimumMemory,
      pcr11,
      allowances: allowances.length === 0 ? undefined : allowances,
      policies: policies.length === 0 ? undefined : policies,
      trust: trust.length === 0 ? undefined : trust,
      variables: Object.keys(variables).length === 0 ? undefined : variables,
    };
  }
}

/**
 * Rejects flags that contradict each other.
 * @throws LktError USAGE_INVALID
 */
function requireConsistent(
  { audit, strict, o, 'input-tar': input }: BuildFlags,
  cwd: string,
): void {
  if (!audit && strict)
    throw new LktError('USAGE_INVALID', '--strict and --no-audit exclude each other');
  if (input !== undefined && o !== undefined && resolve(cwd, input) === resolve(cwd, o))
    throw new LktError('USAGE_INVALID', '--input-tar and --o are the same file', {
      fix: 'name another file to write',
    });
}

/** Builds the image, in the workspace of the first config. */
async function build(
  session: Session,
  flags: BuildFlags,
  configs: readonly ConfigFile[],
  output: Pick<BuildImageOptions, 'diskSize' | 'efiSigner' | 'format' | 'name' | 'outDir'>,
): Promise<{
  readonly image: BuiltImage;
  readonly store: Store;
  readonly top: string;
  readonly pins: readonly PinChange[];
}> {
  const { buildImage, createImageAudit, DERIVED } = await import('@lkt/image');
  const { environment, signal } = session;
  const { cwd, home } = environment;
  const top = dirname(configs[0]?.absolute ?? cwd);
  const platform = { os: 'linux', architecture: flags.arch };
  await using caches = await remoteCaches(session, flags);
  const ignored = flags['no-cached-segments'] ? DERIVED : [];
  const tools = {
    ...(await buildTools(withIgnored(session, ignored), flags)),
    ...caches.tools,
    platforms: [platform],
  };
  const { store } = tools;
  const pins = flags.pin ? await pinConfigs(session, flags, configs, tools) : [];
  const audit = flags.audit
    ? await createImageAudit({ store, top, cwd, isGate: flags.strict, signal })
    : undefined;
  const options = {
    ...tools,
    ...output,
    ...sbomOf(flags),
    signal,
    trust: await trustOptions(session, flags),
    configs,
    set: givenVariables(flags),
    locked: flags.locked,
    requirePolicy:
      (flags['no-policy-found'] ?? (isCi(session.environment) ? 'error' : 'ignore')) === 'error',
    platform,
    homeDir: home,
    compressor: flags.compressor,
    level: flags['compress-level'],
    provenance: flags.provenance ?? flags.o === undefined,
    audit,
  };
  const image = await buildImage(() => workspaceAt(session, top), options, tools);
  return { image, store, top, pins };
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
  const resolveTag = tagResolver(session, registry);
  const targets = { packages: [], configs, check: false, set: givenVariables(flags) };
  return await pin(workspace, { ...targets, intoLocks: true, resolveTag }, tools);
}

function withIgnored(session: Session, ignored: readonly string[]): Session {
  return { ...session, openStore: async () => session.openStore({ ignored }) };
}

function auditResult(audit: ImageAudit | undefined): Pick<Result, 'audit'> {
  if (audit === undefined) return {};
  const { until: _, ...found } = audit;
  return { audit: found };
}

function shortPath(cwd: string, path: string): string {
  const short = relative(cwd, path);
  return short.startsWith('..') ? path : short;
}

/** Returns the audit summary, in one line. */
function auditLine({ images, programs, bad, waived }: ImageAudit): string {
  const passed = waived === 0 ? '' : `, ${waived} waived`;
  const found = bad === 0 ? 'no findings' : `${bad} findings, list them with lkt audit image`;
  return `audit  ${images} images, ${programs} programs: ${found}${passed}`;
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
