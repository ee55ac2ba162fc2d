import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { type Digest, Digester, digestOf, type YamlValue } from '@lkt/core';
import { parentPath, type RawPath, SOURCE_DATE_EPOCH, toRaw } from '@lkt/oci';
import { fileChunks } from '../cache.ts';
import { containerIds, type SystemConfig } from '../config/config.ts';
import { errorAt } from '../config/fields.ts';
import type { FileEntry } from '../config/files.ts';
import { numericId } from '../runtime/spec.ts';
import { CONFIG_SEGMENT } from './containers.ts';
import type { Content, Contents, Part, Placed } from './part.ts';

/**
 * The `files` section. A directory above a file that nothing else names has the owner of the file, and its mode with
 * leave to enter wherever there is any other.
 * @param homeDir what `~/` at the start of a source stands for
 */
export async function fileParts(
  config: SystemConfig,
  homeDir: string | undefined,
): Promise<readonly Part[]> {
  const ids = containerIds(config);
  const parts: Part[] = [];
  for (const [index, file] of config.files.entries()) {
    const content = await contentOf(file, homeDir);
    if (content === undefined) continue;
    const owner = { uid: numericId(file.uid, ids), gid: numericId(file.gid, ids) };
    parts.push({
      origin: { source: 'linuxkit.files', location: `files[${index}]` },
      label: `files[${index}]`,
      isRoot: true,
      segment: CONFIG_SEGMENT,
      entries: entriesOf(file, content, owner),
      contents: content,
    });
  }
  return parts;
}

function entriesOf(
  file: FileEntry,
  content: FileData,
  owner: { readonly uid: number; readonly gid: number },
): readonly Placed[] {
  const { kind } = file.content;
  const mode = file.mode ?? (kind === 'directory' ? 0o700 : 0o600);
  const base = { ...owner, mtime: SOURCE_DATE_EPOCH, size: 0 };
  const parents: Placed[] = [];
  for (let path = parentPath(file.path); path !== ''; path = parentPath(path))
    parents.unshift({ ...base, path, type: 'directory', mode: searchable(mode), isWeak: true });
  const { path } = file;
  if (kind === 'directory') return [...parents, { ...base, path, type: 'directory', mode }];
  if (file.content.kind === 'symlink') {
    const link = toRaw(file.content.target);
    return [...parents, { ...base, path, type: 'symlink', mode: 0o777, link }];
  }
  return [...parents, { ...base, path, type: 'file', mode, size: content.size, content: 'file' }];
}

function searchable(mode: number): number {
  const some = (bits: number, bit: number): number => ((mode & bits) === 0 ? 0 : bit);
  return mode | some(0o700, 0o100) | some(0o070, 0o010) | some(0o007, 0o001);
}

/** The content of one file: a text, or a file of the host that is hashed now and read again later. */
class FileData implements Contents {
  readonly key: string;
  readonly size: number;
  readonly #start: () => AsyncIterable<Uint8Array>;

  constructor(digest: Digest | '', size: number, start: () => AsyncIterable<Uint8Array>) {
    this.key = digest;
    this.size = size;
    this.#start = start;
  }

  async *read(wanted: ReadonlySet<string>): AsyncGenerator<Content> {
    if (wanted.has('file')) yield { name: 'file', data: this.#start() };
  }
}

async function contentOf(
  file: FileEntry,
  homeDir: string | undefined,
): Promise<FileData | undefined> {
  const { content } = file;
  if (content.kind === 'source') return hostFile(file, content.source, content.at, homeDir);
  if (content.kind === 'metadata')
    throw errorAt('UNSUPPORTED', file.at, 'files with metadata are not supported yet');
  if (content.kind !== 'contents') return new FileData('', 0, () => once(Buffer.alloc(0)));
  const data = Buffer.from(content.text);
  return new FileData(digestOf(data), data.length, () => once(data));
}

/** A relative path starts at the config that names it. Undefined when it is optional and cannot be read. */
async function hostFile(
  file: FileEntry,
  source: string,
  at: YamlValue,
  homeDir: string | undefined,
): Promise<FileData | undefined> {
  const path = hostPath(source, at, homeDir);
  try {
    // Not to wait for whoever writes into a fifo.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await handle.stat();
    if (!found.isFile()) throw at.error(`${source} is not a regular file`);
  } catch (error) {
    if (file.optional && error instanceof Error && 'syscall' in error) return undefined;
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw errorAt('NOT_FOUND', at, `cannot read ${source}: ${error.message}`, {
      cause: error,
      fix: 'check the path, or say "optional: true"',
    });
  }
  const digester = new Digester();
  for await (const chunk of fileChunks(path, { reuse: true })) digester.update(chunk);
  const { size } = digester;
  const digest = digester.digest();
  return new FileData(digest, size, () => unchanged(path, digest, at));
}

function hostPath(source: string, at: YamlValue, homeDir: string | undefined): RawPath {
  if (!source.startsWith('~/'))
    return isAbsolute(source) ? source : join(dirname(at.file.path), source);
  if (homeDir !== undefined) return join(homeDir, source.slice(2));
  throw at.error('there is no home directory for "~"', { fix: 'write the path in full' });
}

async function* unchanged(path: string, digest: Digest, at: YamlValue): AsyncGenerator<Uint8Array> {
  const digester = new Digester();
  for await (const chunk of fileChunks(path)) {
    digester.update(chunk);
    yield chunk;
  }
  if (digester.digest() !== digest)
    throw errorAt('IO_FAILED', at, `${path} changed while it was read`);
}

async function* once(data: Buffer): AsyncGenerator<Uint8Array> {
  if (data.length > 0) yield data;
}
