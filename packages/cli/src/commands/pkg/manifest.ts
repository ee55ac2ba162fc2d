import type { PackageManifest } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { linuxkitNamingFlags, unsupported } from '../../flags/linuxkit.ts';
import { requiredArgs } from '../../flags/options.ts';
import { givenName, packageFlags, targetFlags } from '../../flags/package.ts';
import { registryFlags } from '../../flags/registry.ts';
import { signFlags } from '../../flags/signing.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { openRegistries } from '../../session/registries/registries.ts';
import { wantedSigner } from '../../session/signer.ts';

interface Joined extends Omit<PackageManifest, 'item'> {
  readonly name: string;
}

export class PkgManifest extends LktCommand {
  static override summary = 'Join the images of single platforms under one tag';
  static override description =
    'For packages pushed with --no-manifest, from one machine per platform. The tag becomes an index of TAG-ARCH for each of "arches" in build.yml, and of the images that it has already. With --sign, signs the index if the same signer has signed all its images.';
  static override examples = [
    '<%= config.bin %> pkg manifest --org registry.example/team --release v1.2 pkg/sshd',
  ];
  static override args = {
    dir: requiredArgs('package directory'),
  };
  static override flags = { ...packageFlags, ...registryFlags, ...signFlags, ...targetFlags };

  static override linuxkit = {
    ...linuxkitNamingFlags,
    dev: unsupported('switch', 'use --org and --tag'),
    hash: unsupported('value', 'use --tag'),
  };

  async run(): Promise<{ packages: readonly Joined[] }> {
    const { args, flags } = await this.parse(PkgManifest);
    const session = await this.begin(flags);
    const signer = await wantedSigner(session, flags);
    const { pushManifests } = await import('@lkt/pkg');
    const workspace = await workspaceAt(session, session.environment.cwd, {
      buildYml: flags['build-yml'],
    });
    const items = await Promise.all(args.dir.map((dir) => workspace.packageAt(dir)));
    await using registry = await openRegistries(session, flags);
    const made = await pushManifests(workspace, [...new Set(items)], {
      registry,
      release: flags.release,
      replace: flags.override,
      signing:
        signer === undefined
          ? undefined
          : { signer, reporter: session.reporter, store: await session.openStore() },
      ...givenName(flags, session.environment),
      signal: session.signal,
    });
    this.endProgress();
    const packages = made.map(({ item, ...rest }) => ({ name: item.name, ...rest }));
    for (const { reference, digest, platforms } of packages)
      this.log(`${reference}@${digest} ${platforms.join(' ')}`);
    return { packages };
  }
}
