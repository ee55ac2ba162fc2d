import { LktError } from '@lkt/core';
import type { ImageAudit, TrustedImage } from '@lkt/image';
import type { PinChange } from '@lkt/pkg';
import { LktCommand } from '../command.ts';
import { type BuildFlags, buildFlags } from '../flags/build.ts';
import { unsupported, warn, warnIgnored } from '../flags/linuxkit.ts';
import { requiredArgs } from '../flags/options.ts';
import { requireAmd64 } from '../flags/platform.ts';
import { givenVariables } from '../flags/set.ts';
import { buildReport, shortPath } from '../output/build-report.ts';
import { bootedBy } from '../output/next-run.ts';
import { readConfigFiles } from '../session/config-file.ts';
import { buildConfigs, checkedOutput, type ImageSummary } from '../session/image-build.ts';
import type { Session } from '../session/session.ts';
import { recordSteps } from '../session/timeline.ts';

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

/** LinuxKit's `--input-tar` names the output of an earlier build, to reuse its parts. */
const INPUT_TAR_WARNING = '--input-tar has no effect: lkt always reuses unchanged parts';

export class Build extends LktCommand {
  static override summary = 'Build an image from its config';
  static override description = `Merges several configs from left to right; "-" is standard input, and https://… is downloaded. Verifies the signatures that a policy requires ("trust" in a config, or trust.yml), and builds missing packages, which must have their pinned digests.

Writes NAME-kernel, NAME-initrd.img and NAME-cmdline, or the files of other formats (docs/formats.md), with SBOM and provenance (docs/attestations.md). The same configs produce the same bytes.`;
  static override examples = [
    '<%= config.bin %> build examples/sshd.yml',
    '<%= config.bin %> build --format tar --dir out minimal.yml debug.yml',
  ];
  static override args = {
    config: requiredArgs('an image config'),
  };
  static override flags = buildFlags;

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
    if (flags['dry-run']) return this.#merge(session, names, flags);
    const summary = await buildConfigs(session, names, flags);
    // After the result was cached: a cached result repeats its own warnings.
    warn(session.reporter, summary.warnings);
    this.endProgress();
    if (flags.o === '-') return { files: summary.files };
    const { cwd } = session.environment;
    for (const line of buildReport(summary, cwd)) this.log(this.asCalled(line));
    const next = bootedBy(summary.files.map(({ path }) => shortPath(cwd, path)));
    if (next !== undefined) this.suggest(`lkt run ${next}`);
    return resultOf(summary);
  }

  async #merge(
    session: Session,
    names: readonly string[],
    flags: BuildFlags,
  ): Promise<{ readonly config: string }> {
    await checkedOutput(flags, session.environment.cwd);
    const { mergedConfig } = await import('@lkt/image');
    const configs = await readConfigFiles(names, session);
    const config = await mergedConfig(configs, { set: givenVariables(flags) });
    this.endProgress();
    this.log(config.trimEnd());
    return { config };
  }
}

function resultOf(summary: ImageSummary): Result {
  const { allowances, audit, files, minimumMemory, pcr11, pins = [], policies } = summary;
  const { trust, variables } = summary;
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

function auditResult(audit: ImageAudit | undefined): Pick<Result, 'audit'> {
  if (audit === undefined) return {};
  const { until: _, ...found } = audit;
  return { audit: found };
}
