import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SignedReference } from '@lkt/pkg';
import type { SignerId } from '@lkt/sign';
import { LktCommand } from '../../command.ts';
import { Args, Flags } from '../../flags/options.ts';
import { builderFlags, packageFlags } from '../../flags/package.ts';
import { pullFlags } from '../../flags/registry.ts';
import { signingFlags } from '../../flags/signing.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { openRegistries } from '../../session/registries.ts';
import { openSigner, signerInWords } from '../../session/signer.ts';

interface Signed {
  readonly reference: string;
  readonly digest: string;
  /** Everything that is signed: indexes, and the images for each platform. */
  readonly subjects: readonly string[];
  readonly signer: SignerId;
  /** Signatures and attestations that are new. */
  readonly made: number;
}

export class PkgSign extends LktCommand {
  static override summary = 'Sign packages, or images of a registry';
  static override description = `A package is signed in the store, built if it is not, with its SBOM and its provenance; "lkt pkg push" brings the signatures to a registry. A reference is signed where it is. Of an index, all images that it names are signed too. What the same signer has signed is not signed again.

Both forms are written: Sigstore bundles that refer to the image, which cosign 3 reads, and the tags sha256-….sig and .att, which cosign 2, skopeo and podman read. docs/registries.md has the whole of it.`;
  static override examples = [
    '<%= config.bin %> pkg sign --key cosign.key pkg/sshd',
    '<%= config.bin %> pkg sign registry.example/team/sshd@sha256:…',
  ];
  static override args = {
    image: Args.string({
      description: 'directory of a package, or a reference to an image in a registry',
      required: true,
      multiple: true,
    }),
  };
  static override flags = {
    ...packageFlags,
    ...builderFlags,
    ...pullFlags,
    ...signingFlags,
    org: Flags.string({
      summary: 'where packages will go, instead of "org" in build.yml: registry.example/team',
      helpValue: 'HOST/ORG',
    }),
    tag: Flags.string({ summary: 'instead of "tag" in build.yml', helpValue: 'TEMPLATE' }),
  };

  async run(): Promise<{ images: readonly Signed[] }> {
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
      const workspace = await workspaceAt(session, cwd, flags['build-yml']);
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
      this.log(`${name} by ${signerInWords(by)}${made === 0 ? ' (was signed)' : ''}`);
    }
    return { images };
  }
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}
