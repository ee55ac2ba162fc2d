import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { EC2Client } from '@aws-sdk/client-ec2';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import type { CallOptions } from '../../provider.ts';
import { AwsImages } from '../aws/images.ts';
import { TemplateVersions } from './template-versions.ts';

/** The AMIs of an account and region, and the versions of launch templates with them. */
export class AsgImages implements ImageKeeper {
  readonly #images: AwsImages;
  readonly #versions: TemplateVersions;

  constructor(ec2: EC2Client, scaling: AutoScalingClient) {
    this.#images = new AwsImages(ec2);
    this.#versions = new TemplateVersions(ec2, scaling);
  }

  async list(options: { readonly signal: AbortSignal }): Promise<readonly KeptImage[]> {
    return [...(await this.#versions.list(options)), ...(await this.#images.list(options))];
  }

  async isUsed(image: KeptImage, options: { readonly signal: AbortSignal }): Promise<boolean> {
    return this.#keeperOf(image).isUsed(image, options);
  }

  async remove(image: KeptImage, options: CallOptions): Promise<void> {
    await this.#keeperOf(image).remove(image, options);
  }

  #keeperOf({ id }: KeptImage): ImageKeeper {
    return this.#versions.owns(id) ? this.#versions : this.#images;
  }
}
