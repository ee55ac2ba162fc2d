import { LktError } from '@lkt/core';
import type { SignerId } from '@lkt/sign';
import { LktCommand } from '../../command.ts';
import { Args, Flags } from '../../flags/options.ts';
import { builderFlags, packageFlags } from '../../flags/package.ts';
import { targetFlags } from '../../flags/push.ts';
import { pullFlags } from '../../flags/registry.ts';
import { signingFlags } from '../../flags/signing.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { openRegistries } from '../../session/registries.ts';
import { openSigner, signerInWords } from '../../session/signer.ts';

interface Row {
  readonly name: string;
  readonly reference: string;
  readonly digest: string;
  readonly platforms: readonly string[];
  readonly signer: SignerId;
  /** Attestations that are new. */
  readonly made: number;
}

export class PkgAttestRebuild extends LktCommand {
  static override summary = 'Build packages from source, and sign that they gave what they should';
  static override description = `Every step of the packages is done anew, whatever was built or fetched before. Their image is then the one in the store and, with --push, the one in the registry; if it is another, nothing is signed. What is signed is an attestation, "I built this source and got this image", and no signature: a trust policy counts who says so as "rebuilders".

It is kept beside the image in the store; --push brings it to the registry, and so does "lkt pkg push".`;
  static override examples = [
    '<%= config.bin %> pkg attest-rebuild --key cosign.key --push --org registry.example/team pkg/sshd',
  ];
  static override args = {
    dir: Args.string({ description: 'directory of a package', required: true, multiple: true }),
  };
  static override flags = {
    ...packageFlags,
    ...builderFlags,
    ...pullFlags,
    ...signingFlags,
    org: targetFlags.org,
    platforms: Flags.string({
      summary: 'build for these only',
      helpValue: 'linux/amd64,…',
      delimiter: ',',
      multiple: true,
      multipleNonGreedy: true,
    }),
    push: Flags.boolean({ summary: 'bring the attestation to the registry, where the image is' }),
    tag: targetFlags.tag,
  };

  async run(): Promise<{ packages: readonly Row[] }> {
    const { args, flags } = await this.parse(PkgAttestRebuild);
    if (flags.push && flags.offline)
      throw new LktError('USAGE_INVALID', '--push needs a network, and --offline allows none', {
        fix: 'leave one of them out',
      });
    const session = await this.begin(flags);
    const { attestRebuilds } = await import('@lkt/pkg');
    const { parsePlatform } = await import('@lkt/oci');
    const { environment, reporter, signal } = session;
    // A key that cannot be read is found out before hours of building.
    const signer = await openSigner(session, flags);
    const workspace = await workspaceAt(session, environment.cwd, flags['build-yml']);
    const items = await Promise.all(args.dir.map((dir) => workspace.packageAt(dir)));
    const platforms = flags.platforms?.map(parsePlatform);
    const build = {
      ...(await buildTools(session, flags)),
      platforms,
    };
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
        `${reference}@${digest} rebuilt by ${signerInWords(by)}${made === 0 ? ' (was attested)' : ''}`,
      );
    return { packages };
  }
}
