import { LktError } from '@lkt/core';
import type { SignerId } from '@lkt/sign';
import { LktCommand } from '../../command.ts';
import { linuxkitBuildFlags, unsupported, warnIgnored } from '../../flags/linuxkit.ts';
import { Args, Flags } from '../../flags/options.ts';
import { builderFlags, givenName, packageFlags } from '../../flags/package.ts';
import { platformFlags, wantedPlatforms } from '../../flags/platform.ts';
import { targetFlags } from '../../flags/push.ts';
import { pullFlags } from '../../flags/registry.ts';
import { signFlags } from '../../flags/signing.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { openRegistries } from '../../session/registries.ts';
import { signerInWords, wantedSigner } from '../../session/signer.ts';

interface Pushed {
  readonly name: string;
  /** Name and tag in the registry. */
  readonly reference: string;
  /** What the tag stands for, with the images for other platforms that it had. */
  readonly digest: string;
  /** What a pin names. */
  readonly index: string;
  readonly platforms: readonly string[];
  readonly tags: readonly string[];
  /** Of blobs that were sent. */
  readonly bytes: number;
  readonly changed: boolean;
  /** Who signed it, with --sign. */
  readonly signer?: SignerId;
}

export class PkgPush extends LktCommand {
  static override summary = 'Bring packages to a registry, built if they are not';
  static override description = `Prints the references. SBOM, provenance and whatever else refers to the images goes with them. What the registry has is not sent again, so a push that was interrupted goes on.

The tag is that of the committed sources: what is not committed is not pushed. It becomes an index of the images pushed and of those for other platforms that it had; TAG-ARCH stands for that of one platform. An image is never replaced by another one unless --override is given, and a release not at all.

With --sign everything pushed is signed, and SBOM and provenance as attestations, before it has a tag; docs/registries.md says what is written where.

Credentials are those of docker, podman and skopeo: log in with one of these.`;
  static override examples = [
    '<%= config.bin %> pkg push pkg/sshd',
    '<%= config.bin %> pkg push --org registry.example/team --release v1.2 pkg/sshd pkg/dhcpcd',
    '<%= config.bin %> pkg push --nobuild --all',
    '<%= config.bin %> pkg push --sign --key cosign.key pkg/sshd',
  ];
  static override args = {
    dir: Args.string({ description: 'directory of a package, with a build.yml', multiple: true }),
  };
  static override flags = {
    ...packageFlags,
    ...platformFlags,
    ...builderFlags,
    ...pullFlags,
    ...signFlags,
    ...targetFlags,
    all: Flags.boolean({ summary: 'every package of the checkout' }),
    force: Flags.boolean({
      summary: 'build them although they are built',
      exclusive: ['nobuild'],
    }),
    jobs: Flags.integer({
      summary: 'how many packages are built at once; by default as many as there are processors',
      helpValue: 'N',
      min: 1,
    }),
    manifest: Flags.boolean({
      summary: 'set the tag of the sources; without it only TAG-ARCH, for "lkt pkg manifest" later',
      allowNo: true,
      default: true,
    }),
    nobuild: Flags.boolean({ summary: 'build nothing: push what is in the store' }),
  };

  static override linuxkit = {
    ...linuxkitBuildFlags,
    pull: warnIgnored(
      'switch',
      'a package that the store lacks is built, and gives the same image',
    ),
    'build-arg-file': unsupported('value', 'write "buildArgs" in build.yml, which the tag is of'),
    docker: unsupported('switch', 'use lkt pkg build --docker DIR'),
    dockerfile: unsupported('value', 'write "dockerfile" in build.yml, which the tag is of'),
    hash: unsupported('value', 'use --tag'),
    dev: unsupported('switch', 'use --org and --tag'),
    ssh: unsupported('value', 'use lkt pkg build --ssh first, then lkt pkg push --nobuild'),
  };

  async run(): Promise<{ packages: readonly Pushed[] }> {
    const { args, flags } = await this.parse(PkgPush);
    const dirs = args.dir ?? [];
    if (flags.all ? dirs.length > 0 : dirs.length === 0) {
      const problem = flags.all ? '--all leaves no room for directories' : 'DIR is missing';
      throw new LktError('USAGE_INVALID', problem, {
        fix: 'name directories of packages, or give --all',
      });
    }
    if (!flags.manifest && flags.release !== undefined) {
      throw new LktError(
        'USAGE_INVALID',
        '--release needs the index that --no-manifest leaves out',
        {
          fix: 'give --release to "lkt pkg manifest"',
        },
      );
    }
    const session = await this.begin(flags);
    const signer = await wantedSigner(session, flags);
    const { pushPackages, supportsPlatforms } = await import('@lkt/pkg');
    const { formatPlatform } = await import('@lkt/oci');
    const workspace = await workspaceAt(session, session.environment.cwd, flags['build-yml']);
    const named = flags.all
      ? workspace.all()
      : await Promise.all(dirs.map((dir) => workspace.packageAt(dir)));
    const platforms = await wantedPlatforms(flags, named);
    const items = flags.all ? named.filter((item) => supportsPlatforms(item, platforms)) : named;
    const build = flags.nobuild
      ? undefined
      : {
          ...(await buildTools(session, flags)),
          force: flags.force,
          jobs: flags.jobs,
          platforms,
        };
    await using registry = await openRegistries(session, flags);
    const pushed = await pushPackages(workspace, [...new Set(items)], {
      store: await session.openStore(),
      registry,
      build,
      manifest: flags.manifest,
      release: flags.release,
      replace: flags.override,
      signing: signer === undefined ? undefined : { signer, reporter: session.reporter },
      ...givenName(flags, session.environment),
      signal: session.signal,
    });
    this.endProgress();
    const packages = pushed.map(({ item, images, ...rest }) => ({
      name: item.name,
      ...rest,
      platforms: images.flatMap(({ platform }) =>
        platform === undefined ? [] : [formatPlatform(platform)],
      ),
    }));
    for (const { reference, digest, changed, signer: by } of packages) {
      const signed = by === undefined ? '' : ` by ${signerInWords(by)}`;
      this.log(`${reference}@${digest}${signed}${changed ? '' : ' (was there)'}`);
    }
    return { packages };
  }
}
