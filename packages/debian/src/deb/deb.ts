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
 * @param onControl receives the control file, before the first bytes
 * @throws ARCHIVE_INVALID, UNSUPPORTED
 */
export async function* debTar(
  source: AsyncIterable<Uint8Array>,
  options: DebOptions,
  onControl?: (control: Paragraph) => void,
): AsyncGenerator<Uint8Array> {
  const wanted = [
    ...(onControl === undefined ? [] : ['control.tar' as const]),
    'data.tar' as const,
  ];
  for await (const { name, content } of members(source, wanted, options)) {
    if (name === 'data.tar') yield* content();
    else onControl?.(await controlOf(content(), options));
  }
}

/**
 * Returns the control file of a .deb.
 * @throws ARCHIVE_INVALID, UNSUPPORTED
 */
export async function debControl(
  source: AsyncIterable<Uint8Array>,
  options: DebOptions,
): Promise<Paragraph> {
  let control: Paragraph | undefined;
  for await (const { content } of members(source, ['control.tar'], options))
    control = await controlOf(content(), options);
  if (control === undefined) throw invalid(options.what, 'it has no control file');
  return control;
}

async function controlOf(tar: AsyncIterable<Uint8Array>, { what }: DebOptions): Promise<Paragraph> {
  let control: Paragraph | undefined;
  for await (const entry of readTar(tar)) {
    if (entry.path !== 'control' || entry.content === undefined) continue;
    const chunks = await Array.fromAsync(entry.content);
    control = parseDeb822(Buffer.concat(chunks).toString(), `${what} control file`)[0];
  }
  if (control === undefined) throw invalid(what, 'it has no control file');
  return control;
}

/** Bytes of the unpacked members of a .deb. */
const LIMITS = { 'control.tar': MAX_CONTROL_BYTES, 'data.tar': MAX_DATA_BYTES } as const;

/** Yields the wanted members of a .deb, each of which it must have once. */
async function* members(
  source: AsyncIterable<Uint8Array>,
  wanted: readonly (keyof typeof LIMITS)[],
  options: DebOptions,
): AsyncGenerator<{
  readonly name: keyof typeof LIMITS;
  readonly content: () => AsyncIterable<Uint8Array>;
}> {
  let index = 0;
  const seen = new Set<string>();
  for await (const entry of readAr(source)) {
    if (index === 0 && entry.name !== 'debian-binary')
      throw invalid(options.what, 'the first member is not debian-binary');
    index += 1;
    const name = wanted.find((one) => entry.name === one || entry.name.startsWith(`${one}.`));
    if (name === undefined) continue;
    if (seen.has(name)) throw invalid(options.what, `it has more than one ${name}`);
    seen.add(name);
    const what = `${options.what} ${entry.name}`;
    const packed = { ...options, ...entry, what, limit: LIMITS[name] };
    yield { name, content: () => unpack(entry.name.slice(name.length), packed) };
  }
  for (const name of wanted) if (!seen.has(name)) throw invalid(options.what, `it has no ${name}`);
}

function invalid(what: string, problem: string): LktError {
  return new LktError('ARCHIVE_INVALID', `${what} is not a Debian package: ${problem}`);
}
