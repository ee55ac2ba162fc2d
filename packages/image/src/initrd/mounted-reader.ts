import { type FileHandle, mkdtempDisposable, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import {
  type EntryWithContent,
  fromRaw,
  joinPath,
  normalizePath,
  type RawPath,
  singleChunk,
  writeAll,
} from '@lkt/oci';
import { randomAccess, readErofs } from '@lkt/formats';
import { ROOTS, ROOTS_PATH } from './erofs-roots.ts';

const MAX_LIST = 2 ** 20;

/**
 * Yields the entries of an initrd, with mounted file systems replaced by their files, as in the
 * running system. Files that both have, such as init, occur twice. Keeps the file systems in
 * temporary files meanwhile.
 * @throws LktError ARCHIVE_INVALID
 */
export async function* readMounted(
  entries: AsyncIterable<EntryWithContent>,
): AsyncGenerator<EntryWithContent> {
  await using stack = new AsyncDisposableStack();
  const held: EntryWithContent[] = [];
  const files = new Map<RawPath, FileHandle>();
  let dir: string | undefined;
  let list: string | undefined;
  for await (const entry of entries) {
    const { path, content } = entry;
    if (path === ROOTS_PATH && content !== undefined) {
      list = await textOf(content);
      yield { ...entry, content: singleChunk(Buffer.from(list, 'latin1')) };
    } else if (path === ROOTS || path.startsWith(`${ROOTS}/`)) {
      held.push(entry);
      if (content === undefined) continue;
      dir ??= stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-'))).path;
      const file = stack.use(await open(join(dir, `${files.size}`), 'wx+'));
      for await (const piece of content) await writeAll(file, piece);
      files.set(path, file);
    } else {
      yield entry;
    }
  }
  // Without a list they are ordinary files.
  if (list === undefined)
    for (const entry of held) {
      const file = files.get(entry.path);
      yield file === undefined
        ? entry
        : { ...entry, content: file.createReadStream({ start: 0, autoClose: false }) };
    }
  for (const { path, target } of rootsIn(list)) {
    const file = files.get(path);
    if (file === undefined)
      throw new LktError(
        'ARCHIVE_INVALID',
        `/${fromRaw(path)} is in the list of roots but does not exist`,
      );
    for await (const entry of readErofs(await randomAccess(file))) {
      const at = joinPath(target, entry.path);
      if (at === '') continue;
      yield entry.type === 'hardlink'
        ? { ...entry, path: at, link: joinPath(target, entry.link ?? '') }
        : { ...entry, path: at };
    }
  }
}

function rootsIn(list = ''): readonly { readonly path: RawPath; readonly target: RawPath }[] {
  return list
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => {
      const [, path = '', target = ''] = line.split(' ');
      const normal = target === '/' ? '' : normalizePath(unescaped(target));
      if (normal === undefined)
        throw new LktError('ARCHIVE_INVALID', `a mount point is outside of the image: ${target}`);
      return { path: unescaped(path), target: normal };
    });
}

function unescaped(path: string): RawPath {
  return path.replaceAll(/%([0-9a-f]{2})/g, (_, code: string) =>
    String.fromCodePoint(Number.parseInt(code, 16)),
  );
}

async function textOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of content) {
    size += piece.length;
    if (size > MAX_LIST) throw new LktError('ARCHIVE_INVALID', 'its list of roots is too long');
    pieces.push(Uint8Array.from(piece));
  }
  return Buffer.concat(pieces).toString('latin1');
}
