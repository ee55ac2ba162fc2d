import { LktError } from '@lkt/core';
import type { PushedPackage } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { linuxkitBuildFlags, unsupported, warnIgnored } from '../../flags/linuxkit.ts';
import { countFlag, optionalArgs, switchFlag } from '../../flags/options.ts';
import {
  builderFlags,
  givenName,
  packageFlags,
  requireDirsOrAll,
  targetFlags,
} from '../../flags/package.ts';
import { platformFlags, wantedPlatforms } from '../../flags/platform.ts';
import { pullFlags } from '../../flags/registry.ts';
import { signFlags } from '../../flags/signing.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { openRegistries } from '../../session/registries/registries.ts';
import { formatSigner, wantedSigner } from '../../session/signer.ts';

interface Pushed extends Omit<PushedPackage, 'item' | 'images'> {
  readonly name: string;
  readonly platforms: readonly string[];
}

export class PkgPush extends LktCommand {
  static override summary = 'Build packages if needed, and push them to a registry';
  static override description = `Prints the references. Also pushes SBOMs, provenance and other referrers. Sends only what the registry lacks, so repeat an interrupted push to resume it. Log in with "lkt login".

The tag is the hash of the committed sources, and names an index with the images that it had for other platforms; TAG-ARCH names the image of one platform. Replaces an image only with --override, and a release never.

With --sign, signs every pushed image, and its SBOM and provenance as attestations, before it sets the tag (docs/registries.md).`;
  static override examples = [
    '<%= config.bin %> pkg push --org registry.example/team --release v1.2 pkg/sshd pkg/dhcpcd',
    '<%= config.bin %> pkg push --sign --key cosign.key pkg/sshd',
  ];
  static override args = {
    dir: optionalArgs('package directory, with a build.yml'),
  };
  static override flags = {
    ...packageFlags,
    ...platformFlags,
    ...builderFlags,
    ...pullFlags,
    ...signFlags,
    ...targetFlags,
    all: switchFlag('push every package of the checkout'),
    force: switchFlag('rebuild even if the package is in the store', { exclusive: ['nobuild'] }),
    jobs: countFlag('N', 'packages to build in parallel; default: one per processor'),
    manifest: switchFlag(
      'set the tag; with --no-manifest only TAG-ARCH, for a later "lkt pkg manifest"',
      { allowNo: true, default: true },
    ),
    nobuild: switchFlag('push what is in the store, and build nothing'),
  };

  static override linuxkit = {
    ...linuxkitBuildFlags,
    pull: warnIgnored(
      'switch',
      'lkt builds a package that the store lacks, and gets the same image',
    ),
    'build-arg-file': unsupported('value', 'write "buildArgs" in build.yml, which the tag covers'),
    docker: unsupported('switch', 'use lkt pkg build --docker DIR'),
    dockerfile: unsupported('value', 'write "dockerfile" in build.yml, which the tag covers'),
    hash: unsupported('value', 'use --tag'),
    dev: unsupported('switch', 'use --org and --tag'),
    ssh: unsupported('value', 'use lkt pkg build --ssh first, then lkt pkg push --nobuild'),
  };

  async run(): Promise<{ packages: readonly Pushed[] }> {
    const { args, flags } = await this.parse(PkgPush);
    const dirs = args.dir ?? [];
    requireDirsOrAll(dirs, flags.all);
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
    const workspace = await workspaceAt(session, session.environment.cwd, {
      buildYml: flags['build-yml'],
    });
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
      reporter: session.reporter,
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
      const signed = by === undefined ? '' : ` by ${formatSigner(by)}`;
      this.log(`${reference}@${digest}${signed}${changed ? '' : ' (unchanged)'}`);
    }
    return { packages };
  }
}
