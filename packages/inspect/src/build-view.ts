import { open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Digester, ioError, isErrno, LktError, withPrefix } from '@lkt/core';
import {
  familiarReference,
  fileChunks,
  formatReference,
  parseReference,
  type Platform,
  readTar,
} from '@lkt/oci';
import { DISK_FILES, readMounted } from '@lkt/image';
import { randomAccess, type FileMap, readErofs, readInitrd } from '@lkt/formats';
import { readImageArchive } from './archive-reader.ts';
import { readFacts } from './facts.ts';
import { type ImageProvenance, readDocument, readSbom, readProvenance } from './documents.ts';
import { initrdOfUki } from './uki-reader.ts';
import type { ImageView, OutputState, UsedImage } from './view.ts';

const SBOM_SUFFIX = '-sbom.spdx.json';
const PROVENANCE_SUFFIX = '-provenance.json';
const MAX_CMDLINE_BYTES = 64 * 1024;

type FileReader = (
  path: string,
  signal: AbortSignal | undefined,
  platform: Platform,
) => Promise<FileMap>;

/** Readers of the files of an image, by suffix in order of preference. */
const READERS: Readonly<Record<string, FileReader>> = {
  '.tar': async (path, signal) => readFacts(readTar(fileChunks(path)), signal),
  '-initrd.img': async (path, signal) => readInitrdFiles(fileChunks(path), signal),
  '-initrd.tar': readBootTar,
  '.efi': async (path, signal) => readInitrdFiles(initrdOfUki(path), signal),
  '-erofs.img': readErofsDisk,
  '.docker': async (path, signal, platform) => readImageArchive(path, platform, signal),
  '-oci.tar': async (path, signal, platform) => readImageArchive(path, platform, signal),
};

/** Suffixes of all outputs of a build, longest first. */
const OUTPUT_SUFFIXES: readonly string[] = [
  ...new Set([
    ...Object.keys(READERS),
    '-kernel',
    '-cmdline',
    '-squashfs.img',
    '-squashfs-cmdline',
    '-erofs-cmdline',
    '-iso-cmdline',
    ...Object.values(DISK_FILES),
    SBOM_SUFFIX,
    PROVENANCE_SUFFIX,
  ]),
].toSorted((a, b) => b.length - a.length || (a < b ? -1 : 1));

/**
 * Reads the outputs of `lkt build`, with their SBOM and provenance.
 * @param path DIR/NAME of the build, or one of its files, whose files are then the ones in `files`
 * @param platform selects the image of a multi-platform archive
 * @returns undefined if no such file exists
 * @throws IMAGE_INVALID if the SBOM or the provenance is invalid; IO_FAILED
 * @example
 * ```ts
 * const view = await viewBuild('out/sshd', { os: 'linux', architecture: 'amd64' });
 * const changed = view?.outputs.filter(({ state }) => state === 'changed');
 * const files = await view?.files?.();
 * ```
 */
export async function viewBuild(path: string, platform: Platform): Promise<ImageView | undefined> {
  const directory = dirname(path);
  const existing = await filesIn(directory);
  const base = basename(path);
  const isFile = existing.has(base);
  const name = isFile ? await buildNameOf(directory, base, existing) : base;
  const outputs = OUTPUT_SUFFIXES.map((suffix) => `${name}${suffix}`).filter((file) =>
    existing.has(file),
  );
  const found = isFile && !outputs.includes(base) ? [base, ...outputs] : outputs;
  if (found.length === 0) return undefined;
  const provenance = await readProvenance(join(directory, `${name}${PROVENANCE_SUFFIX}`));
  const sbom = await readSbom(join(directory, `${name}${SBOM_SUFFIX}`));
  const cmdline = await readDocument(join(directory, `${name}-cmdline`), MAX_CMDLINE_BYTES);
  const suffixes = isFile ? [base.slice(name.length)] : Object.keys(READERS);
  const suffix = suffixes.find((one) => READERS[one] !== undefined && existing.has(name + one));
  const read = READERS[suffix ?? ''];
  return {
    kind: 'build',
    name: isFile ? base : name,
    outputs: await outputsOf(directory, found, provenance),
    parameters: provenance?.parameters ?? {},
    cmdline: cmdline?.toString(),
    ...dependenciesOf(provenance),
    sbom,
    files:
      read &&
      (async (signal) => {
        const file = `${name}${suffix}`;
        try {
          return await read(join(directory, file), signal, platform);
        } catch (cause) {
          throw withPrefix(cause, `${file}: `);
        }
      }),
  };
}

async function filesIn(directory: string): Promise<ReadonlySet<string>> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return new Set(entries.flatMap((entry) => (entry.isDirectory() ? [] : [entry.name])));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return new Set();
    throw ioError(`cannot read ${directory}`, error);
  }
}

/**
 * Returns the name of the build that a file belongs to: from the provenance that lists the file,
 * otherwise from the file name.
 */
async function buildNameOf(
  directory: string,
  base: string,
  existing: ReadonlySet<string>,
): Promise<string> {
  const names = OUTPUT_SUFFIXES.flatMap((suffix) =>
    base.endsWith(suffix) && base !== suffix ? [base.slice(0, -suffix.length)] : [],
  );
  for (const name of names) {
    if (!existing.has(`${name}${PROVENANCE_SUFFIX}`)) continue;
    const provenance = await readProvenance(join(directory, `${name}${PROVENANCE_SUFFIX}`));
    const isProvenance = base === `${name}${PROVENANCE_SUFFIX}`;
    if (isProvenance || provenance?.subjects.some((subject) => subject.name === base) === true)
      return name;
  }
  return names[0] ?? base;
}

async function outputsOf(
  directory: string,
  found: readonly string[],
  provenance: ImageProvenance | undefined,
): Promise<readonly OutputState[]> {
  const expectedDigests = new Map(provenance?.subjects.map(({ name, digest }) => [name, digest]));
  const states: OutputState[] = [];
  for (const name of [...new Set([...expectedDigests.keys(), ...found])].toSorted()) {
    // Only names of directory entries are opened, so a subject cannot point outside the directory.
    if (!found.includes(name)) {
      states.push({ name, state: 'missing' });
      continue;
    }
    const digester = new Digester();
    for await (const chunk of fileChunks(join(directory, name), { canReuseBuffers: true }))
      digester.update(chunk);
    const digest = digester.digest();
    const expected = expectedDigests.get(name);
    const state = expected === undefined ? 'there' : expected === digest ? 'as built' : 'changed';
    states.push({ name, state, size: digester.size, digest });
  }
  return states;
}

function dependenciesOf(
  provenance: ImageProvenance | undefined,
): Pick<ImageView, 'images' | 'inputs'> {
  const images: UsedImage[] = [];
  const inputs: ImageView['inputs'][number][] = [];
  for (const { name, digest, because } of provenance?.inputs ?? []) {
    const image = imageName(name);
    if (image === undefined) inputs.push({ name, digest });
    else images.push({ name: image, digest, because });
  }
  return { images, inputs };
}

/**
 * Returns the familiar reference if an input is an image. The provenance names images by their full
 * reference, and no file has such a name.
 */
function imageName(name: string): string | undefined {
  try {
    const reference = parseReference(name);
    return formatReference(reference) === name && reference.tag !== undefined
      ? familiarReference(reference)
      : undefined;
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  }
}

async function readInitrdFiles(
  data: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<FileMap> {
  return readFacts(readMounted(readInitrd(data)), signal);
}

async function readErofsDisk(path: string, signal: AbortSignal | undefined): Promise<FileMap> {
  await using file = await open(path, 'r');
  const files = new Map(await readFacts(readErofs(await randomAccess(file)), signal));
  files.delete('');
  return files;
}

async function readBootTar(path: string, signal: AbortSignal | undefined): Promise<FileMap> {
  let files: FileMap | undefined;
  for await (const { path: name, content } of readTar(fileChunks(path))) {
    if (name !== 'initrd.img') continue;
    // tar would unpack the last one.
    if (files !== undefined)
      throw new LktError('ARCHIVE_INVALID', 'the archive has two files initrd.img');
    if (content !== undefined) files = await readInitrdFiles(content, signal);
  }
  if (files !== undefined) return files;
  throw new LktError('ARCHIVE_INVALID', 'the archive has no initrd.img');
}
