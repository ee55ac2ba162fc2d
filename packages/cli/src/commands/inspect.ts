import { LktError } from '@lkt/core';
import type { UsedImage } from '@lkt/inspect';
import type { Store } from '@lkt/oci';
import { LktCommand } from '../command.ts';
import { type FlagValues, requiredArg, switchFlag, valueFlag } from '../flags/options.ts';
import { htmlFlag, writePage } from '../output/html-file.ts';
import {
  contentsOf,
  type Inspected,
  type InspectedImage,
  inspectLines,
} from '../output/inspect-report.ts';
import { readGivenBytes } from '../session/paths.ts';
import type { Session } from '../session/session.ts';
import { trustFlags } from '../flags/trust.ts';
import { VIEW_DESCRIPTION, type Viewed, viewFlags, viewTarget } from '../targets/image-view.ts';

export class Inspect extends LktCommand {
  static override summary = 'Show the contents of an image';
  static override description = `Shows its packages with digests, sizes and signatures, its SBOM, its config, and whether its files are as built (docs/inspect.md). Builds nothing, and verifies no signature: use "lkt verify".`;
  static override examples = [
    '<%= config.bin %> inspect sshd',
    '<%= config.bin %> inspect --files sshd-initrd.img',
    '<%= config.bin %> inspect --html sshd.html --timeline boot.json sshd',
  ];
  static override args = {
    image: requiredArg(VIEW_DESCRIPTION),
  };
  static override flags = {
    ...viewFlags,
    files: switchFlag('also list the files in the image'),
    ...htmlFlag,
    ...trustFlags,
    timeline: valueFlag(
      'FILE',
      'timeline of a boot for the page, from "lkt run --timeline boot.json"',
      {
        dependsOn: ['html'],
      },
    ),
  };

  async run(): Promise<Inspected> {
    const { args, flags } = await this.parse(Inspect);
    const session = await this.begin(flags);
    const viewed = await viewTarget(session, args.image, flags);
    const { view, platform } = viewed;
    const { listedPackages } = await import('@lkt/inspect');
    const store = await session.findStore();
    const own = view.digest === undefined ? [] : [{ name: view.name, digest: view.digest }];
    const images: InspectedImage[] = [];
    for (const image of [...own, ...view.images])
      images.push(await inspected(image, store, platform));
    const { files, sbom, images: _images, config: _config, ...shown } = view;
    if (flags.files && files === undefined)
      throw new LktError('UNSUPPORTED', `lkt cannot read the files of ${view.name}`, {
        fix: 'inspect another format of the build, such as tar, kernel+initrd or kernel+erofs',
      });
    const contents = flags.files ? contentsOf(await files?.(session.signal)) : undefined;
    const result = {
      ...shown,
      images,
      packages: sbom === undefined ? undefined : listedPackages(sbom),
      contents,
    };
    const lines =
      flags.html === undefined
        ? inspectLines(result)
        : await this.#writePage(session, args.image, viewed, result, flags);
    this.endProgress();
    for (const line of lines) this.log(line);
    return result;
  }

  async #writePage(
    session: Session,
    target: string,
    viewed: Viewed,
    result: Inspected,
    { html = '', timeline, ...flags }: FlagValues<typeof Inspect.flags>,
  ): Promise<readonly string[]> {
    const { cwd } = session.environment;
    const boot =
      timeline === undefined
        ? undefined
        : (await import('@lkt/machine')).parseTimeline(
            await readGivenBytes(cwd, timeline, `--timeline ${timeline}`),
            timeline,
          );
    return writePage(html, { cwd, json: this.jsonEnabled() }, async () => {
      const { imageDetails } = await import('../targets/image-report.ts');
      const { inspectPage } = await import('../output/inspect-page.ts');
      const details = await imageDetails(session, target, viewed, flags);
      return inspectPage(result, details, boot);
    });
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
