import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { Args, Flags } from '../../flags/options.ts';

interface Result {
  readonly images: readonly { readonly reference: string; readonly digest: string }[];
  /** SBOMs, provenance and signatures that came with them. */
  readonly attestations: number;
}

export class CacheImport extends LktCommand {
  static override summary = 'Bring the images of an archive into the store';
  static override description = `Reads OCI image layouts, as podman, skopeo, "docker buildx" and "lkt cache export" write them, and what "docker save" writes, also compressed.

Everything is checked against its digest, and nothing gets a name before all of it is.`;
  static override examples = [
    '<%= config.bin %> cache import sshd.tar',
    'docker save redis | <%= config.bin %> cache import -',
    '<%= config.bin %> cache import --name example/app:1 app.tar',
  ];
  static override args = {
    file: Args.string({ description: 'an archive; - is standard input', required: true }),
  };
  static override flags = {
    name: Flags.string({
      summary: 'what the image is called, if the archive does not say, or says something else',
      helpValue: 'REFERENCE',
    }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(CacheImport);
    const session = await this.begin(flags);
    const { familiarReference, importImages, parseReference } = await import('@lkt/oci');
    // Says what is wrong with a name before the archive is read.
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
    throw new LktError('NOT_FOUND', `${name} cannot be read`, { cause: error });
  }
}
