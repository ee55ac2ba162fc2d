import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { requiredArg, valueFlag } from '../../flags/options.ts';
import type { ImageName } from '../../targets/store-image.ts';

interface Result {
  readonly images: readonly ImageName[];
  /** The number of imported SBOMs, provenance documents and signatures. */
  readonly attestations: number;
}

export class CacheImport extends LktCommand {
  static override summary = 'Import the images of an archive into the store';
  static override description = `Reads OCI image layouts, and archives of "docker save", also compressed. Checks everything against its digest first.`;
  static override examples = [
    'docker save redis | <%= config.bin %> cache import -',
    '<%= config.bin %> cache import --name example/app:1 app.tar',
  ];
  static override args = {
    file: requiredArg('an archive; - is standard input'),
  };
  static override flags = {
    name: valueFlag('REFERENCE', 'name of the image; default: as in the archive'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(CacheImport);
    const session = await this.begin(flags);
    const { familiarReference, importImages, parseReference } = await import('@lkt/oci');
    // Rejects an invalid name before reading the archive.
    if (flags.name !== undefined) parseReference(flags.name);
    const { signal } = session;
    const source =
      args.file === '-'
        ? process.stdin
        : await openArchive(resolve(session.environment.cwd, args.file), args.file);
    const options = { name: flags.name, signal };
    const done = await importImages(await session.openStore(), source, options);
    this.endProgress();
    const images = done.images.map(({ reference, descriptor }) => ({
      reference: familiarReference(parseReference(reference)),
      digest: descriptor.digest,
    }));
    for (const { reference, digest } of images) this.log(`${reference} ${digest}`);
    return { images, attestations: done.referrers.length };
  }
}

async function openArchive(path: string, name: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const file = await open(path);
    if ((await file.stat()).isDirectory()) {
      await file.close();
      throw new LktError('NOT_FOUND', `${name} is a directory`, { fix: 'name an archive' });
    }
    return file.createReadStream();
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')) throw error;
    throw new LktError('NOT_FOUND', `cannot read ${name}`, { cause: error });
  }
}
