import { LktError } from '@lkt/core';
import { readTar } from '@lkt/oci';
import { readAr } from './ar.ts';
import { type Paragraph, parseDeb822 } from './deb822.ts';
import { type Packed, unpack } from './unpack.ts';

/** Options to read a .deb. `what` is the name of the package. */
export type DebOptions = Pick<Packed, 'what' | 'decoder'>;

/** Bytes; far above any package of the archive. Bounds decompression bombs. */
const MAX_DATA_BYTES = 8 * 1024 ** 3;
const MAX_CONTROL_BYTES = 16 * 1024 ** 2;

/**
 * Returns the unpacked `data.tar` of a .deb (deb(5)). Reads the source to its end, so that a source
 * that verifies its digest there has done so; trust nothing before.
 * @throws ARCHIVE_INVALID, UNSUPPORTED
 */
export async function* debTar(
  source: AsyncIterable<Uint8Array>,
  options: DebOptions,
): AsyncGenerator<Uint8Array> {
  yield* member(source, 'data.tar', MAX_DATA_BYTES, options);
}

/**
 * Returns the control file of a .deb.
 * @throws ARCHIVE_INVALID, UNSUPPORTED
 */
export async function debControl(
  source: AsyncIterable<Uint8Array>,
  options: DebOptions,
): Promise<Paragraph> {
  const tar = member(source, 'control.tar', MAX_CONTROL_BYTES, options);
  let control: Paragraph | undefined;
  for await (const entry of readTar(tar)) {
    if (entry.path !== 'control' || entry.content === undefined) continue;
    const chunks = await Array.fromAsync(entry.content);
    control = parseDeb822(Buffer.concat(chunks).toString(), `${options.what} control file`)[0];
  }
  if (control === undefined) throw invalid(options.what, 'it has no control file');
  return control;
}

async function* member(
  source: AsyncIterable<Uint8Array>,
  wanted: string,
  limit: number,
  options: DebOptions,
): AsyncGenerator<Uint8Array> {
  let index = 0;
  let seen = false;
  for await (const entry of readAr(source)) {
    if (index === 0 && entry.name !== 'debian-binary')
      throw invalid(options.what, 'the first member is not debian-binary');
    index += 1;
    if (entry.name !== wanted && !entry.name.startsWith(`${wanted}.`)) continue;
    if (seen) throw invalid(options.what, `it has more than one ${wanted}`);
    seen = true;
    const what = `${options.what} ${entry.name}`;
    yield* unpack(entry.name.slice(wanted.length), { ...options, ...entry, what, limit });
  }
  if (!seen) throw invalid(options.what, `it has no ${wanted}`);
}

function invalid(what: string, problem: string): LktError {
  return new LktError('ARCHIVE_INVALID', `${what} is not a Debian package: ${problem}`);
}
