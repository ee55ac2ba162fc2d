import { isDigest } from '@lkt/core';
import type { ImageKeeper, KeptImage } from '../../image/kept-images.ts';
import { type JsonObject, objectOf, textOf } from '../../rest/json-object.ts';
import type { AzureClient } from './client.ts';
import { diskNameOf, DISKS, versionOf } from './machine-image.ts';
import type { AzureSettings } from './settings.ts';

type Options = { readonly signal: AbortSignal };

const SETS = '/Microsoft.Compute/virtualMachineScaleSets';

/** The versions of the image definition, and the disks that interrupted uploads left. */
export class AzureImages implements ImageKeeper {
  readonly #client: AzureClient;
  readonly #versions: string;

  constructor(client: AzureClient, { gallery, imageDefinition }: AzureSettings) {
    this.#client = client;
    this.#versions = `/Microsoft.Compute/galleries/${gallery}/images/${imageDefinition}/versions`;
  }

  async list({ signal }: Options): Promise<readonly KeptImage[]> {
    const what = 'galleries.images.versions.read';
    const images: KeptImage[] = [];
    for (const { name, tags, properties } of await this.#client.list(
      what,
      this.#versions,
      signal,
    )) {
      const [id, digest] = [textOf(name), textOf(objectOf(tags)['lkt.digest'])];
      const { publishedDate } = objectOf(objectOf(properties)['publishingProfile']);
      if (isDigest(digest) && id === versionOf(digest))
        images.push({ id, digest, created: Date.parse(textOf(publishedDate)) });
    }
    for (const { name, tags, properties } of await this.#client.list('disks.read', DISKS, signal)) {
      const [id, digest] = [textOf(name), textOf(objectOf(tags)['lkt.digest'])];
      if (isDigest(digest) && id === diskNameOf(digest))
        images.push({
          id,
          digest,
          created: Date.parse(textOf(objectOf(properties)['timeCreated'])),
        });
    }
    return images;
  }

  async isUsed({ id, digest }: KeptImage, { signal }: Options): Promise<boolean> {
    if (id === diskNameOf(digest)) {
      const disk = await this.#client.find('disks.read', `${DISKS}/${id}`, signal);
      return textOf(disk?.['managedBy']) !== '';
    }
    const wanted = `${this.#client.group}${this.#versions}/${id}`.toLowerCase();
    const isOf = (machine: unknown): boolean => {
      const { imageReference } = objectOf(objectOf(machine)['storageProfile']);
      return textOf(objectOf(imageReference)['id']).toLowerCase() === wanted;
    };
    const read = async (what: string, path: string): Promise<readonly JsonObject[]> =>
      this.#client.list(what, path, signal);
    for (const { name, properties } of await read('virtualMachineScaleSets.read', SETS)) {
      if (isOf(objectOf(properties)['virtualMachineProfile'])) return true;
      const path = `${SETS}/${textOf(name)}/virtualMachines?$expand=instanceView`;
      const machines = await read('virtualMachineScaleSets.virtualMachines.read', path);
      if (machines.some((machine) => isOf(machine['properties']))) return true;
    }
    return false;
  }

  async remove({ id, digest }: KeptImage, { signal }: Options): Promise<void> {
    if (id === diskNameOf(digest)) return this.#removeDisk(`${DISKS}/${id}`, signal);
    const what = 'galleries.images.versions.delete';
    await this.#client.remove(what, `${this.#versions}/${id}`, signal);
  }

  /** Azure deletes no disk while its upload is permitted. */
  async #removeDisk(path: string, signal: AbortSignal): Promise<void> {
    const disk = await this.#client.find('disks.read', path, signal);
    if (objectOf(disk?.['properties'])['diskState'] === 'ActiveUpload')
      await this.#client.change('disks.endGetAccess.action', `${path}/endGetAccess`, {
        method: 'POST',
        signal,
      });
    await this.#client.remove('disks.delete', path, signal);
  }
}
