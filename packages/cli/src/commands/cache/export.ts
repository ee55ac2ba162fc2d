import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { isErrno, isSpecialFile, LktError } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { choiceFlag, listFlag, requiredArg, switchFlag, valueFlag } from '../../flags/options.ts';
import { showSize } from '../../flags/sizes.ts';
import { type ImageName, imageInStore } from '../../targets/store-image.ts';

interface Result extends ImageName {
  /** Size of the archive. */
  readonly bytes: number;
}

export class CacheExport extends LktCommand {
  static override summary = 'Export an image from the store as an archive';
  static override description = `An OCI image layout keeps the digest of its index even if some platforms are missing, so pins remain valid. The same image produces the same bytes.`;
  static override examples = [
    '<%= config.bin %> cache export -o sshd.tar lkt/sshd:1',
    '<%= config.bin %> cache export --format docker -o - lkt/sshd:1 | docker load',
  ];
  static override args = {
    image: requiredArg('a reference, as printed by "lkt cache ls"'),
  };
  static override flags = {
    attestations: switchFlag('include referrers: SBOMs, provenance, signatures'),
    format: choiceFlag(
      ['oci', 'docker', 'filesystem'],
      'archive format: an OCI image layout, an archive for "docker load", or the plain files',
      { default: 'oci' },
    ),
    name: valueFlag('REFERENCE', 'name of the image in the archive'),
    output: valueFlag('FILE|-', 'output file, or - for standard output', {
      char: 'o',
      aliases: ['outfile'],
      required: true,
    }),
    platform: listFlag(
      'OS/ARCH',
      'platforms to include; default: all in the store; for docker and filesystem one, default: linux/amd64',
    ),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(CacheExport);
    const isPiped = flags.output === '-';
    if (isPiped && (this.jsonEnabled() || process.stdout.isTTY)) {
      throw new LktError('USAGE_INVALID', 'refusing to write the archive to a terminal', {
        fix: 'name a file: -o image.tar',
      });
    }
    const session = await this.begin(flags);
    const { exportImage, familiarReference, parsePlatform, parseReference } =
      await import('@lkt/oci');
    const { store, source, descriptor } = await imageInStore(session, args.image);
    const given = flags.name === undefined ? source : parseReference(flags.name);
    const isBare = given.tag === undefined && given.digest === undefined;
    const archive = await exportImage(store, descriptor, {
      reference: isBare ? { ...given, tag: 'latest' } : given,
      format: flags.format,
      platforms: flags.platform?.map(parsePlatform),
      referrers: flags.attestations,
    });
    const { signal } = session;
    const bytes = isPiped
      ? await toStream(process.stdout, archive, signal)
      : await toFile(resolve(session.environment.cwd, flags.output), archive, signal);
    this.endProgress();
    const result = { reference: familiarReference(source), digest: descriptor.digest, bytes };
    if (!isPiped) this.log(`${flags.output}  ${showSize(bytes)}  ${result.digest}`);
    return result;
  }
}

/** Writes to a stream and ends it. Returns the size in bytes. */
async function toStream(
  stream: Writable,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  let size = 0;
  for await (const chunk of archive) {
    signal.throwIfAborted();
    size += chunk.length;
    if (!stream.write(chunk)) await once(stream, 'drain');
  }
  await finished(stream.end());
  return size;
}

/** Writes the file completely, or leaves none. Returns its size in bytes. */
async function toFile(
  path: string,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  try {
    if (await isSpecialFile(path)) return await toStream(createWriteStream(path), archive, signal);
    await writeFile(temporary, archive, { flag: 'wx', signal });
    const { size } = await stat(temporary);
    await rename(temporary, path);
    return size;
  } catch (error) {
    await rm(temporary, { force: true });
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EISDIR', 'ENOTDIR'))
      throw new LktError('IO_FAILED', `cannot write ${path}`, { cause: error });
    throw error;
  }
}
