import { digestHex, isDigest } from '@lkt/core';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import { ProviderError } from '../../provider.ts';
import { objectsOf, textOf } from '../../rest/json-object.ts';
import type { OpenStackClient } from './client.ts';
import { isImageId } from './machine-image.ts';

type Options = { readonly signal: AbortSignal };

const PAGE_SIZE = 500;
const MAX_PAGES = 500;

/** The images of a project at Glance. */
export class OpenStackImages implements ImageKeeper {
  readonly #client: OpenStackClient;

  constructor(client: OpenStackClient) {
    this.#client = client;
  }

  async list({ signal }: Options): Promise<readonly KeptImage[]> {
    const owner = await this.#client.project(signal);
    const images: KeptImage[] = [];
    let marker = '';
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = new URLSearchParams({
        owner,
        visibility: 'private',
        limit: String(PAGE_SIZE),
        ...(marker === '' ? {} : { marker }),
      });
      const { body } = await this.#client.call(
        'image',
        'list images',
        `/images?${query.toString()}`,
        {
          signal,
        },
      );
      if (!Array.isArray(body['images']))
        throw new ProviderError('malformed', 'openstack: a list of images without images');
      const all = objectsOf(body['images']);
      for (const one of all) {
        const [id, digest] = [textOf(one['id']), textOf(one['lkt_digest'])];
        const isOwn = one['owner'] === owner && one['visibility'] === 'private';
        if (!isOwn || !isImageId(id) || !isDigest(digest)) continue;
        if (one['name'] !== `lkt-${digestHex(digest)}`) continue;
        images.push({ id, digest, created: Date.parse(textOf(one['created_at'])) });
      }
      marker = textOf(all.at(-1)?.['id']);
      if (textOf(body['next']) === '') return images;
      if (!isImageId(marker))
        throw new ProviderError('malformed', 'openstack: a page of images ends without a valid id');
    }
    throw new ProviderError('malformed', `openstack: more than ${MAX_PAGES} pages of images`);
  }

  async isUsed({ id }: KeptImage, { signal }: Options): Promise<boolean> {
    const { body } = await this.#client.call('compute', 'list servers', `/servers?image=${id}`, {
      signal,
    });
    if (!Array.isArray(body['servers']))
      throw new ProviderError('malformed', 'openstack: a list of servers without servers');
    return body['servers'].length > 0;
  }

  async remove({ id }: KeptImage, { signal }: Options): Promise<void> {
    const call = { method: 'DELETE', signal } as const;
    await this.#client.find('image', 'delete image', `/images/${id}`, call);
  }
}
