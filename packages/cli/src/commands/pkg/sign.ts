import { resolve } from 'node:path';
import type { SignedReference } from '@lkt/pkg';
import { LktCommand } from '../../command.ts';
import { requiredArgs } from '../../flags/options.ts';
import { builderFlags, packageFlags, targetFlags } from '../../flags/package.ts';
import { pullFlags } from '../../flags/registry.ts';
import { signingFlags } from '../../flags/signing.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { isDirectory } from '../../session/paths.ts';
import { openRegistries } from '../../session/registries/registries.ts';
import { openSigner, formatSigner } from '../../session/signer.ts';

export class PkgSign extends LktCommand {
  static override summary = 'Sign packages, or images in a registry';
  static override description = `Builds a package if needed, and signs it in the store with its SBOM and provenance; "lkt pkg push" sends the signatures. Signs a reference in its registry. For an index, signs all its images too. Skips what the same signer has signed already. Signatures have the forms of cosign 2 and 3 (docs/registries.md).`;
  static override examples = [
    '<%= config.bin %> pkg sign --key cosign.key pkg/sshd',
    '<%= config.bin %> pkg sign registry.example/team/sshd@sha256:…',
  ];
  static override args = {
    image: requiredArgs('package directory, or a reference in a registry'),
  };
  static override flags = {
    ...packageFlags,
    ...builderFlags,
    ...pullFlags,
    ...signingFlags,
    org: targetFlags.org,
    tag: targetFlags.tag,
  };

  async run(): Promise<{ images: readonly SignedReference[] }> {
    const { args, flags } = await this.parse(PkgSign);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { signPackages, signReference } = await import('@lkt/pkg');
    const { parseReference } = await import('@lkt/oci');
    const isDir = await Promise.all(
      args.image.map(async (name) => isDirectory(resolve(cwd, name))),
    );
    const dirs = args.image.filter((_, index) => isDir[index] === true);
    const references = args.image.filter((_, index) => isDir[index] !== true).map(parseReference);
    const signer = await openSigner(session, flags);
    const { reporter, signal } = session;
    const store = await session.openStore();
    const images: SignedReference[] = [];
    if (dirs.length > 0) {
      const workspace = await workspaceAt(session, cwd, { buildYml: flags['build-yml'] });
      const items = await Promise.all(dirs.map((dir) => workspace.packageAt(dir)));
      const build = await buildTools(session, flags);
      const { org, tag } = flags;
      const options = { store, build, signer, reporter, org, tag, signal };
      images.push(...(await signPackages(workspace, [...new Set(items)], options)));
    }
    if (references.length > 0) {
      await using registry = await openRegistries(session, flags);
      for (const reference of references)
        images.push(await signReference(reference, { store, registry, signer, reporter, signal }));
    }
    this.endProgress();
    for (const { reference, digest, signer: by, made } of images) {
      const name = reference.includes('@') ? reference : `${reference}@${digest}`;
      this.log(`${name} by ${formatSigner(by)}${made === 0 ? ' (already signed)' : ''}`);
    }
    return { images };
  }
}
