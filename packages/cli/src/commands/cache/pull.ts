import { LktCommand } from '../../command.ts';
import { listFlag, requiredArgs } from '../../flags/options.ts';
import { registryFlags } from '../../flags/registry.ts';
import { workspaceAt } from '../../session/build-tools.ts';
import { rejectPackageName } from '../../targets/package-name.ts';
import type { ImageName } from '../../targets/store-image.ts';

export class CachePull extends LktCommand {
  static override summary = 'Pull images from a registry into the store';
  static override description = `Pulls what the store lacks, with signatures, SBOMs and provenance. A reference with a digest is pulled by the digest alone, and stored under it. Log in with "lkt login".`;
  static override examples = [
    '<%= config.bin %> cache pull --platform linux/arm64 registry.example/lkt/sshd:1',
  ];
  static override args = {
    image: requiredArgs('a reference'),
  };
  static override flags = {
    ...registryFlags,
    platform: listFlag('OS/ARCH|all', 'platform to pull, or all', {
      default: ['linux/amd64'],
    }),
  };

  async run(): Promise<{ images: readonly ImageName[] }> {
    const { args, flags } = await this.parse(CachePull);
    const session = await this.begin(flags);
    const { familiarReference, parsePlatform, parseReference } = await import('@lkt/oci');
    const { openRegistries } = await import('../../session/registries/registries.ts');
    const { pullSignedImage } = await import('@lkt/sign');
    const wanted = args.image.map((text) => parseReference(text));
    const platforms = flags.platform.includes('all')
      ? undefined
      : flags.platform.map(parsePlatform);
    await using registry = await openRegistries(session, flags);
    // Only a name without a registry may be one of a package.
    const workspace = wanted.some(({ domain }) => domain === undefined)
      ? await workspaceAt(session, session.environment.cwd)
      : undefined;
    const store = await session.openStore();
    const { reporter, signal } = session;
    const options = { platforms, documents: true, reporter, signal };
    const images: ImageName[] = [];
    for (const reference of wanted) {
      if (
        workspace !== undefined &&
        reference.domain === undefined &&
        reference.digest === undefined
      )
        rejectPackageName(workspace, reference, (dir) => `pull or build it: lkt pkg build ${dir}`);
      const { tag = 'latest', digest, ...repository } = workspace?.locate(reference) ?? reference;
      const name = { ...repository, ...(digest === undefined ? { tag } : { digest }) };
      const pulled = await pullSignedImage(registry, store, name, options);
      images.push({ reference: familiarReference(name), digest: pulled.digest });
    }
    this.endProgress();
    for (const { reference, digest } of images) this.log(`${reference} ${digest}`);
    return { images };
  }
}
