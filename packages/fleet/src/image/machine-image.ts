import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestHex, LktError } from '@lkt/core';
import { findBootFiles, findBootMedium } from '@lkt/machine';
import {
  type Descriptor,
  fileChunks,
  formatReference,
  MediaType,
  parseManifest,
  type Reference,
  type Store,
} from '@lkt/oci';
import { exists } from '@lkt/oci/files';
import { removeTree } from '@lkt/oci/shared-files';
import type { MachineImage } from '../provider.ts';
import { keepImage, removeUnusedImages } from './unused-images.ts';

/** Type of an OCI artifact with the files from which a machine boots. */
const MACHINE_IMAGE_TYPE = 'application/vnd.lkt.machine.v1';

/** Name of the files below the directory of an image, as `lkt build` names them. */
const PREFIX = 'image';

/** Types of the layers, by the end of their file name. */
const LAYER_TYPES = {
  '-kernel': 'application/vnd.lkt.machine.kernel',
  '-initrd.img': 'application/vnd.lkt.machine.initrd',
  '-cmdline': 'application/vnd.lkt.machine.cmdline',
  '-sbom.spdx.json': 'application/spdx+json',
  '-efi.img': 'application/vnd.lkt.machine.disk.efi',
  '-bios.img': 'application/vnd.lkt.machine.disk.bios',
} as const;

type Part = keyof typeof LAYER_TYPES;
const PARTS = Object.keys(LAYER_TYPES) as readonly Part[];
const DISKS: readonly Part[] = ['-efi.img', '-bios.img'];

/**
 * Adds the outputs of a build, `PREFIX-kernel` and so on, to a store: an OCI artifact that
 * registries keep and keys sign. Equal files give equal digests.
 * @param options `hasDisk`: add the disk of the same build too, for EFI or else for BIOS
 * @throws LktError NOT_FOUND; UNSUPPORTED for an image whose root is a disk
 */
export async function writeMachineImage(
  store: Store,
  prefix: string,
  name: Reference,
  { hasDisk = false }: { readonly hasDisk?: boolean } = {},
): Promise<Descriptor> {
  const { root } = await findBootFiles(prefix);
  if (root !== undefined)
    throw new LktError('UNSUPPORTED', `a fleet cannot boot a root disk: ${root}`, {
      fix: 'build the format kernel+initrd',
    });
  const disk = hasDisk ? DISKS.find((part) => exists(`${prefix}${part}`)) : undefined;
  if (hasDisk && disk === undefined)
    throw new LktError('NOT_FOUND', `there is no disk ${prefix}-efi.img or ${prefix}-bios.img`, {
      fix: 'build both: lkt build --format kernel+initrd,raw-efi',
    });
  const layers: Descriptor[] = [];
  for (const part of PARTS) {
    const path = `${prefix}${part}`;
    if (!exists(path) || (DISKS.includes(part) && part !== disk)) continue;
    const { digest, size } = await store.write(fileChunks(path));
    layers.push({ mediaType: LAYER_TYPES[part], digest, size });
  }
  const empty = await store.writeBytes(Buffer.from('{}'));
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    artifactType: MACHINE_IMAGE_TYPE,
    config: { mediaType: MediaType.ociEmpty, digest: empty.digest, size: empty.size },
    layers,
  };
  const blob = await store.writeBytes(Buffer.from(JSON.stringify(manifest)));
  const descriptor = { mediaType: MediaType.ociManifest, digest: blob.digest, size: blob.size };
  const { domain, path, tag = 'latest' } = name;
  await store.tag(formatReference({ domain, path, tag }), descriptor);
  return descriptor;
}

/** The files of an image. */
export interface OpenedImage extends MachineImage {
  /** Prefix of the files, as of the outputs of a build. */
  readonly prefix: string;
}

/**
 * Returns an image of the store as files below `dir`. Every byte is verified on the way; a call
 * that is interrupted leaves no usable image.
 * @throws LktError IMAGE_INVALID if the digest is not that of a machine image; DIGEST_MISMATCH,
 * NOT_FOUND
 */
export async function openMachineImage(
  store: Store,
  digest: Digest,
  dir: string,
): Promise<OpenedImage> {
  const id = digestHex(digest);
  const target = join(dir, id);
  if (!(await keepImage(target))) {
    const layers = await layersOf(store, digest);
    const temporary = `${target}.${process.pid}`;
    await removeTree(temporary);
    await mkdir(temporary, { recursive: true });
    for (const [part, layer] of layers)
      await writeFile(join(temporary, `${PREFIX}${part}`), store.read(layer));
    await rename(temporary, target).catch(async (error: unknown) => {
      // Another process was faster.
      await removeTree(temporary);
      if (!exists(target)) throw error;
    });
    await removeUnusedImages(dir, new Set([id]));
  }
  const prefix = join(target, PREFIX);
  const disks = DISKS.map((part) => `${prefix}${part}`).filter((path) => exists(path));
  const [disk = ''] = disks;
  const medium = await findBootMedium(disk, disk.endsWith('-efi.img'));
  const files = await findBootFiles(prefix);
  return { digest, prefix, files, ...(medium === undefined ? {} : { disk: medium }) };
}

async function layersOf(store: Store, digest: Digest): Promise<ReadonlyMap<Part, Descriptor>> {
  const size = await store.size(digest);
  if (size === undefined) throw new LktError('NOT_FOUND', `${digest} is not in the store`);
  const manifest = parseManifest(await store.readBytes({ digest, size }));
  const found = new Map<Part, Descriptor>();
  for (const layer of manifest.layers) {
    const part = PARTS.find((one) => LAYER_TYPES[one] === layer.mediaType);
    if (part !== undefined) found.set(part, layer);
  }
  const isWhole = found.has('-kernel') && found.has('-initrd.img');
  if (manifest.artifactType === MACHINE_IMAGE_TYPE && isWhole) return found;
  throw new LktError('IMAGE_INVALID', `${digest} is not a machine image`, {
    fix: 'make one: lkt build CONFIG, then lkt fleet image PREFIX NAME',
  });
}
