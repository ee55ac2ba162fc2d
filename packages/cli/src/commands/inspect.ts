import type { UsedImage } from '@lkt/inspect';
import type { Store } from '@lkt/oci';
import { LktCommand } from '../command.ts';
import { requiredArg, switchFlag } from '../flags/options.ts';
import {
  contentsOf,
  type Inspected,
  type InspectedImage,
  inspectLines,
} from '../output/inspect-report.ts';
import { VIEW_DESCRIPTION, viewFlags, viewTarget } from '../targets/image-view.ts';

export class Inspect extends LktCommand {
  static override summary = 'Show the contents of an image';
  static override description = `Shows its packages with digests, sizes and signatures, its SBOM, its config, and whether its files are as built. Builds and writes nothing, and verifies no signature: use "lkt verify" (docs/inspect.md).`;
  static override examples = [
    '<%= config.bin %> inspect sshd',
    '<%= config.bin %> inspect --files sshd-initrd.img',
  ];
  static override args = {
    image: requiredArg(VIEW_DESCRIPTION),
  };
  static override flags = {
    ...viewFlags,
    files: switchFlag('also list the files in the image'),
  };

  async run(): Promise<Inspected> {
    const { args, flags } = await this.parse(Inspect);
    const session = await this.begin(flags);
    const { view, platform } = await viewTarget(session, args.image, flags);
    const { listedPackages } = await import('@lkt/inspect');
    const store = await session.findStore();
    const own = view.digest === undefined ? [] : [{ name: view.name, digest: view.digest }];
    const images: InspectedImage[] = [];
    for (const image of [...own, ...view.images])
      images.push(await inspected(image, store, platform));
    const { files, sbom, images: _images, config: _config, ...shown } = view;
    const contents = flags.files ? contentsOf(await files?.(session.signal)) : undefined;
    const result = {
      ...shown,
      images,
      packages: sbom === undefined ? undefined : listedPackages(sbom),
      contents,
    };
    this.endProgress();
    for (const line of inspectLines(result)) this.log(line);
    return result;
  }
}

async function inspected(
  image: UsedImage,
  store: Store | undefined,
  platform: Parameters<typeof storedFacts>[2],
): Promise<InspectedImage> {
  const facts = store && image.digest && (await storedFacts(store, image.digest, platform));
  return { ...image, signatures: [], ...facts };
}

async function storedFacts(
  store: Store,
  digest: NonNullable<UsedImage['digest']>,
  platform: { readonly os: string; readonly architecture: string },
): Promise<Pick<InspectedImage, 'size' | 'signatures'> | undefined> {
  if (!(await store.has(digest))) return undefined;
  const { loadImage } = await import('@lkt/oci');
  const { summarizeSignatures } = await import('@lkt/inspect');
  const { descriptor, manifest } = await loadImage(store, digest, platform);
  return {
    size: manifest.layers.reduce((sum, { size }) => sum + size, 0),
    signatures: await summarizeSignatures(store, [digest, descriptor.digest]),
  };
}
