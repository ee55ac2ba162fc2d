import { open, readdir, stat } from 'node:fs/promises';
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
import {
  randomAccess,
  readFileFacts,
  type FileMap,
  readErofs,
  readInitrd,
  readPe,
} from '@lkt/formats';
import { readImageArchive } from './archive-reader.ts';
import { type ImageStatement, readDocument, readSbom, readStatement } from './documents.ts';
import type { ImageView, OutputState, UsedImage } from './view.ts';

const SBOM = '-sbom.spdx.json';
const PROVENANCE = '-provenance.json';
const MAX_CMDLINE = 64 * 1024;
const MAX_PE_HEAD = 2 ** 20;

/** What is read of an image, and how; the first that is there. */
const READERS: Readonly<
  Record<
    string,
    (path: string, signal: AbortSignal | undefined, platform: Platform) => Promise<FileMap>
  >
> = {
  '.tar': async (path, signal) => readFileFacts(readTar(fileChunks(path)), {}, signal),
  '-initrd.img': async (path, signal) => initrdFacts(fileChunks(path), signal),
  '-initrd.tar': readBootTar,
  '.efi': async (path, signal) => initrdFacts(initrdOfUki(path), signal),
  '-erofs.img': readErofsDisk,
  '.docker': async (path, signal, platform) => readImageArchive(path, platform, signal),
  '-oci.tar': async (path, signal, platform) => readImageArchive(path, platform, signal),
};

/** All that a build may write, after NAME. */
const SUFFIXES: readonly string[] = [
  ...new Set([
    ...Object.keys(READERS),
    '-kernel',
    '-cmdline',
    '-squashfs.img',
    '-squashfs-cmdline',
    '-erofs-cmdline',
    '-iso-cmdline',
    ...Object.values(DISK_FILES),
    SBOM,
    PROVENANCE,
  ]),
].toSorted((a, b) => b.length - a.length || (a < b ? -1 : 1));

/**
 * What `lkt build` wrote: by NAME, or by one of the files, of which then the content is looked at.
 * @param platform of an archive with an image for several
 * @returns undefined where there is no such file
 * @throws LktError IMAGE_INVALID for documents that are broken; IO_FAILED
 */
export async function viewBuild(path: string, platform: Platform): Promise<ImageView | undefined> {
  const directory = dirname(path);
  const there = await filesIn(directory);
  const base = basename(path);
  const isFile = there.has(base);
  const name = isFile ? await nameOf(directory, base, there) : base;
  const own = SUFFIXES.map((suffix) => `${name}${suffix}`).filter((file) => there.has(file));
  const found = isFile && !own.includes(base) ? [base, ...own] : own;
  if (found.length === 0) return undefined;
  const statement = await readStatement(join(directory, `${name}${PROVENANCE}`));
  const sbom = await readSbom(join(directory, `${name}${SBOM}`));
  const cmdline = await readDocument(join(directory, `${name}-cmdline`), MAX_CMDLINE);
  const reader = readerFor(isFile ? [base.slice(name.length)] : Object.keys(READERS), (suffix) =>
    there.has(`${name}${suffix}`),
  );
  return {
    kind: 'build',
    name: isFile ? base : name,
    outputs: await outputsOf(directory, found, statement),
    parameters: statement?.parameters ?? {},
    cmdline: cmdline?.toString(),
    ...dependenciesOf(statement),
    sbom,
    files:
      reader === undefined
        ? undefined
        : async (signal) =>
            explained(
              `${name}${reader.suffix}`,
              reader.read(join(directory, `${name}${reader.suffix}`), signal, platform),
            ),
  };
}

function readerFor(
  suffixes: readonly string[],
  exists: (suffix: string) => boolean,
): { suffix: string; read: (typeof READERS)[string] } | undefined {
  for (const suffix of suffixes) {
    const read = READERS[suffix];
    if (read !== undefined && exists(suffix)) return { suffix, read };
  }
  return undefined;
}

async function explained(name: string, reading: Promise<FileMap>): Promise<FileMap> {
  try {
    return await reading;
  } catch (cause) {
    throw withPrefix(cause, `${name}: `);
  }
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

/** The name of the build that a file is of: that one whose provenance lists it, else by how the file is called. */
async function nameOf(
  directory: string,
  base: string,
  there: ReadonlySet<string>,
): Promise<string> {
  const names = SUFFIXES.flatMap((suffix) =>
    base.endsWith(suffix) && base !== suffix ? [base.slice(0, -suffix.length)] : [],
  );
  for (const name of names) {
    if (!there.has(`${name}${PROVENANCE}`)) continue;
    const statement = await readStatement(join(directory, `${name}${PROVENANCE}`));
    const isOwn = base === `${name}${PROVENANCE}`;
    if (isOwn || statement?.subjects.some((subject) => subject.name === base) === true) return name;
  }
  return names[0] ?? base;
}

async function outputsOf(
  directory: string,
  found: readonly string[],
  statement: ImageStatement | undefined,
): Promise<readonly OutputState[]> {
  const said = new Map(statement?.subjects.map(({ name, digest }) => [name, digest]));
  const states: OutputState[] = [];
  for (const name of [...new Set([...said.keys(), ...found])].toSorted()) {
    // Names of a statement lead nowhere else.
    if (!found.includes(name)) {
      states.push({ name, state: 'missing' });
      continue;
    }
    const digester = new Digester();
    for await (const chunk of fileChunks(join(directory, name), { canReuseBuffers: true }))
      digester.update(chunk);
    const digest = digester.digest();
    const expected = said.get(name);
    const state = expected === undefined ? 'there' : expected === digest ? 'as built' : 'changed';
    states.push({ name, state, size: digester.size, digest });
  }
  return states;
}

function dependenciesOf(
  statement: ImageStatement | undefined,
): Pick<ImageView, 'images' | 'inputs'> {
  const images: UsedImage[] = [];
  const inputs: ImageView['inputs'][number][] = [];
  for (const { name, digest, because } of statement?.inputs ?? []) {
    const image = imageName(name);
    if (image === undefined) inputs.push({ name, digest });
    else images.push({ name: image, digest, because });
  }
  return { images, inputs };
}

/** Images have their full names there, which no file has. */
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

async function initrdFacts(
  data: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<FileMap> {
  return readFileFacts(readMounted(readInitrd(data)), {}, signal);
}

async function readErofsDisk(path: string, signal: AbortSignal | undefined): Promise<FileMap> {
  await using file = await open(path, 'r');
  const files = new Map(await readFileFacts(readErofs(await randomAccess(file)), {}, signal));
  files.delete('');
  return files;
}

async function readBootTar(path: string, signal: AbortSignal | undefined): Promise<FileMap> {
  for await (const { path: name, content } of readTar(fileChunks(path)))
    if (name === 'initrd.img' && content !== undefined) return initrdFacts(content, signal);
  throw new LktError('ARCHIVE_INVALID', 'there is no initrd.img in it');
}

/** UAPI.5: a section of the EFI program. */
async function* initrdOfUki(path: string): AsyncGenerator<Uint8Array> {
  const { size } = await stat(path);
  const head = Buffer.alloc(Math.min(size, MAX_PE_HEAD));
  await using file = await open(path, 'r');
  await file.read(head, 0, head.length, 0);
  const section = readPe(head, basename(path)).sections.find(({ name }) => name === '.initrd');
  if (section === undefined)
    throw new LktError('ARCHIVE_INVALID', 'there is no section .initrd in it');
  const end = section.rawOffset + Math.min(section.virtualSize, section.rawSize);
  for (let at = section.rawOffset; at < end;) {
    const { bytesRead, buffer } = await file.read({
      buffer: Buffer.alloc(Math.min(MAX_PE_HEAD, end - at)),
      position: at,
    });
    if (bytesRead === 0) throw new LktError('ARCHIVE_INVALID', 'it is cut off');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
