import { isDigest } from '@lkt/core';
import { parseDescription } from '../../engine/description.ts';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import { objectOf, objectsOf, textOf } from '../../rest/json-object.ts';
import type { GcpClient } from './client.ts';
import { parseRecord, RESOURCE } from './group.ts';
import { imageName } from './machine-image.ts';

type Options = { readonly signal: AbortSignal };

/** Begins the ids of templates: no machine is made of an image without one. */
const TEMPLATES = 'instanceTemplates/';

/**
 * The images of a project at Compute Engine, with the objects that they were made from, and the
 * templates of groups with them.
 */
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
    const templates = `${this.#client.project}/global/instanceTemplates`;
    await this.#client.pages('instanceTemplates.list', templates, { signal }, ({ items }) => {
      for (const { name, description, creationTimestamp } of objectsOf(items)) {
        const digest = parseDescription(textOf(description))?.image;
        const created = Date.parse(textOf(creationTimestamp));
        if (digest !== undefined && RESOURCE.test(textOf(name)))
          images.push({ id: `${TEMPLATES}${textOf(name)}`, digest, created, isRemade: true });
      }
    });
    return images;
  }

  /** Only the templates of groups count, and those to which a group may return. */
  async isUsed({ id }: KeptImage, { signal }: Options): Promise<boolean> {
    const { project } = this.#client;
    const templates = await this.#templatesInUse(signal);
    if (id.startsWith(TEMPLATES)) return templates.has(id.slice(TEMPLATES.length));
    for (const template of templates) {
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

  async #templatesInUse(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const templates = new Set<string>();
    await this.#client.pages(
      'instanceGroupManagers.aggregatedList',
      `${this.#client.project}/aggregated/instanceGroupManagers`,
      { signal },
      ({ items }) => {
        for (const scope of Object.values(objectOf(items)))
          for (const manager of objectsOf(objectOf(scope)['instanceGroupManagers'])) {
            for (const used of [manager, ...objectsOf(manager['versions'])])
              templates.add(textOf(used['instanceTemplate']).split('/').at(-1) ?? '');
            const record = parseRecord(textOf(manager['name']), textOf(manager['description']));
            if (record?.previous !== undefined) templates.add(record.previous);
          }
      },
    );
    return new Set([...templates].filter((name) => RESOURCE.test(name)));
  }

  async remove({ id }: KeptImage, { signal }: Options): Promise<void> {
    const { project, rest, storage } = this.#client;
    const call = { method: 'DELETE', signal } as const;
    if (id.startsWith(TEMPLATES)) {
      const template = `${project}/global/${id}`;
      await rest.callUnless('missing', 'instanceTemplates.delete', template, call);
      return;
    }
    // Does not wait for the end: the next list shows what is left.
    await rest.callUnless('missing', 'images.delete', `${project}/global/images/${id}`, call);
    const object = `${storage}/storage/v1/b/${this.#bucket}/o/${id}.tar.gz`;
    await rest.callUnless('missing', 'objects.delete', object, call);
  }
}
