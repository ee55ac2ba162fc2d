import { LktError } from '@lkt/core';
import type { AttestedRebuild } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { requiredArgs, switchFlag } from '../../flags/options.ts';
import { builderFlags, packageFlags, targetFlags } from '../../flags/package.ts';
import { platformFlags } from '../../flags/platform.ts';
import { pullFlags } from '../../flags/registry.ts';
import { signingFlags } from '../../flags/signing.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { openRegistries } from '../../session/registries/registries.ts';
import { openSigner, formatSigner } from '../../session/signer.ts';

interface Rebuilt extends Omit<AttestedRebuild, 'item'> {
  readonly name: string;
}

export class PkgAttestRebuild extends LktCommand {
  static override summary = 'Rebuild packages from source, and sign that the result is the same';
  static override description = `Runs every step again, without any cache. Signs only if the image is the one in the store and, with --push, in the registry. A trust policy counts the signers of this attestation as "rebuilders" (docs/trust.md). A later "lkt pkg push" sends it, too.`;
  static override examples = [
    '<%= config.bin %> pkg attest-rebuild --key cosign.key --push --org registry.example/team pkg/sshd',
  ];
  static override args = {
    dir: requiredArgs('package directory'),
  };
  static override flags = {
    ...packageFlags,
    ...builderFlags,
    ...pullFlags,
    ...signingFlags,
    org: targetFlags.org,
    platforms: platformFlags.platforms,
    push: switchFlag('push the attestation'),
    tag: targetFlags.tag,
  };

  async run(): Promise<{ packages: readonly Rebuilt[] }> {
    const { args, flags } = await this.parse(PkgAttestRebuild);
    if (flags.push && flags.offline)
      throw new LktError('USAGE_INVALID', '--push and --offline exclude each other', {
        fix: 'leave one of them out',
      });
    const session = await this.begin(flags);
    const { attestRebuilds } = await import('@lkt/pkg');
    const { parsePlatform } = await import('@lkt/oci');
    const { environment, reporter, signal } = session;
    // Reports an unreadable key before hours of building.
    const signer = await openSigner(session, flags);
    const workspace = await workspaceAt(session, environment.cwd, { buildYml: flags['build-yml'] });
    const items = await Promise.all(args.dir.map((dir) => workspace.packageAt(dir)));
    const platforms = flags.platforms?.map(parsePlatform);
    const build = { ...(await buildTools(session, flags)), platforms };
    await using registry = flags.push ? await openRegistries(session, flags) : undefined;
    const rebuilt = await attestRebuilds(workspace, [...new Set(items)], {
      store: build.store,
      build,
      registry,
      signer,
      reporter,
      org: flags.org,
      tag: flags.tag,
      signal,
    });
    this.endProgress();
    const packages = rebuilt.map(({ item, ...rest }) => ({ name: item.name, ...rest }));
    for (const { reference, digest, signer: by, made } of packages)
      this.log(
        `${reference}@${digest} rebuilt by ${formatSigner(by)}${made === 0 ? ' (already attested)' : ''}`,
      );
    return { packages };
  }
}
