import { LktCommand } from '../../command.ts';
import { noop } from '../../flags/linuxkit.ts';
import { requiredArg, switchFlag, valueFlag } from '../../flags/options.ts';
import { registryFlags } from '../../flags/registry.ts';
import { type ImageName, imageInStore } from '../../targets/store-image.ts';

interface Result extends ImageName {
  /** Bytes of the blobs that were sent. */
  readonly bytes: number;
  readonly changed: boolean;
}

export class CachePush extends LktCommand {
  static override summary = 'Push an image from the store to a registry';
  static override description = `Sends only what the registry lacks, so repeat an interrupted push to resume it. Sets the tag last. Log in with "lkt login".`;
  static override examples = [
    '<%= config.bin %> cache push lkt/sshd:1 --as registry.example/lkt/sshd:1',
  ];
  static override args = {
    image: requiredArg('a reference, as printed by "lkt cache ls"'),
  };
  static override flags = {
    ...registryFlags,
    as: valueFlag('REFERENCE', 'name in the registry; default: as in the store', {
      aliases: ['remote-name'],
    }),
    'with-arch-tags': switchFlag('also set TAG-ARCH for each stored image of the index'),
  };
  /** `cache push` always moves the tag. */
  static override linuxkit = { override: noop() };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(CachePush);
    const session = await this.begin(flags);
    const { familiarReference, isIndexType, parseIndex, parseReference } = await import('@lkt/oci');
    const { openRegistries } = await import('../../session/registries/registries.ts');
    const { store, source, descriptor } = await imageInStore(session, args.image);
    const given = flags.as === undefined ? source : parseReference(flags.as);
    const target =
      given.tag === undefined && given.digest === undefined ? { ...given, tag: 'latest' } : given;
    await using registry = await openRegistries(session, flags);
    const { bytes, changed } = await registry.pushImage(store, descriptor, target, {
      signal: session.signal,
    });
    if (flags['with-arch-tags'] && target.tag !== undefined && isIndexType(descriptor.mediaType)) {
      const { domain, path, tag } = target;
      for (const image of parseIndex(await store.readBytes(descriptor)).manifests) {
        const { architecture, variant } = image.platform ?? {};
        if (architecture === undefined || !(await store.has(image.digest))) continue;
        const suffix = variant === undefined ? architecture : `${architecture}-${variant}`;
        await registry.tagManifest({ domain, path, tag: `${tag}-${suffix}` }, image, {
          replace: true,
          signal: session.signal,
        });
      }
    }
    this.endProgress();
    const result = {
      reference: familiarReference(target),
      digest: descriptor.digest,
      bytes,
      changed,
    };
    this.log(`${result.reference} ${result.digest}${changed ? '' : ' (unchanged)'}`);
    return result;
  }
}
