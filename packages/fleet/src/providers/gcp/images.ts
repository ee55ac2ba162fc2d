import { isDigest } from '@lkt/core';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import { objectOf, objectsOf, textOf } from '../../rest/json-object.ts';
import type { GcpClient } from './client.ts';
import { imageName } from './machine-image.ts';

type Options = { readonly signal: AbortSignal };

/** The images of a project at Compute Engine, with the objects that they were made from. */
export class GcpImages implements ImageKeeper {
  readonly #client: GcpClient;
  readonly #bucket: string;

  constructor(client: GcpClient, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  async list({ signal }: Options): Promise<readonly KeptImage[]> {
    const images: KeptImage[] = [];
    const url = `${this.#client.project}/global/images`;
    await this.#client.pages('images.list', url, { signal }, ({ items }) => {
      for (const { name, description, creationTimestamp } of objectsOf(items)) {
        const [id, digest] = [textOf(name), textOf(description)];
        if (isDigest(digest) && id === imageName(digest))
          images.push({ id, digest, created: Date.parse(textOf(creationTimestamp)) });
      }
    });
    return images;
  }

  /** Templates stay for rollbacks; only those of groups count. */
  async isUsed({ id }: KeptImage, { signal }: Options): Promise<boolean> {
    const { project } = this.#client;
    const templates = new Set<string>();
    await this.#client.pages(
      'instanceGroupManagers.aggregatedList',
      `${project}/aggregated/instanceGroupManagers`,
      { signal },
      ({ items }) => {
        for (const scope of Object.values(objectOf(items)))
          for (const manager of objectsOf(objectOf(scope)['instanceGroupManagers']))
            for (const used of [manager, ...objectsOf(manager['versions'])])
              templates.add(textOf(used['instanceTemplate']).split('/').at(-1) ?? '');
      },
    );
    for (const template of templates) {
      if (!/^[a-z][-a-z0-9]{0,62}$/.test(template)) continue;
      const url = `${project}/global/instanceTemplates/${template}`;
      const found = await this.#client.find('instanceTemplates.get', url, signal);
      const disks = objectsOf(objectOf(found?.['properties'])['disks']);
      const images = disks.map(({ initializeParams }) =>
        textOf(objectOf(initializeParams)['sourceImage']),
      );
      if (images.some((image) => image.endsWith(`/global/images/${id}`))) return true;
    }
    return false;
  }

  async remove({ id }: KeptImage, { signal }: Options): Promise<void> {
    const { project, rest, storage } = this.#client;
    const call = { method: 'DELETE', signal } as const;
    // Does not wait for the end: the next look lists what is left.
    await rest.callUnless('missing', 'images.delete', `${project}/global/images/${id}`, call);
    const object = `${storage}/storage/v1/b/${this.#bucket}/o/${id}.tar.gz`;
    await rest.callUnless('missing', 'objects.delete', object, call);
  }
}
