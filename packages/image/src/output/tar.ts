import { entryMetadata, type EntryWithContent, singleChunk, writeTar } from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import { MANIFEST_PATH } from '../initrd/manifest.ts';
import type { Plan } from '../plan.ts';
import type { BootFile, Kernel } from '../tree/kernel.ts';
import { rootEntry } from '../tree/memory.ts';
import { hasContent, namesByContent, type Root, type RootEntry } from '../tree/merge.ts';
import type { Content, Origin, Part } from '../tree/part.ts';

/**
 * Writes a planned image as one tar archive, with kernel, command line and microcode under `boot/`.
 * The PAX records `LINUXKIT.source` and `LINUXKIT.location` have the origin of each entry.
 */
export function tarOf(plan: Plan): AsyncGenerator<Uint8Array> {
  return writeTar(tarEntriesOf(plan));
}

/** Yields the entries of that archive. */
export async function* tarEntriesOf({
  kernel,
  root,
  manifest,
  cache,
}: Plan): AsyncGenerator<EntryWithContent> {
  const written = new Set<string>();
  if (kernel !== undefined) {
    for (const entry of bootEntries(kernel, cache)) {
      written.add(entry.path);
      yield entry;
    }
  }
  for (const [index, part] of root.parts.entries()) {
    const own = root.byPart[index];
    if (own === undefined) continue;
    for (const path of own.directories) {
      const entry = root.entries.get(path);
      if (entry === undefined || written.has(path)) continue;
      written.add(path);
      yield header(entry, root);
    }
    const others = own.others.filter(({ path }) => !written.has(path) && path !== MANIFEST_PATH);
    yield* partEntries(part, others, root);
    const listing = own.others.find(({ path }) => path === MANIFEST_PATH);
    if (listing !== undefined) {
      const data = Buffer.from(manifest);
      yield {
        ...header({ ...listing, mode: 0o444, size: data.length }, root),
        content: singleChunk(data),
      };
    }
  }
}

async function* partEntries(
  part: Part,
  entries: readonly RootEntry[],
  root: Root,
): AsyncGenerator<EntryWithContent> {
  for (const entry of entries) if (!hasContent(entry)) yield header(entry, root);
  const files = namesByContent(entries);
  if (files.size === 0) return;
  const wanted = new Set(files.keys());
  for await (const content of part.contents.read(wanted))
    if (wanted.delete(content.name)) yield* fileEntries(content, files, root);
}

function* fileEntries(
  content: Content,
  files: ReadonlyMap<string, readonly RootEntry[]>,
  root: Root,
): Generator<EntryWithContent> {
  const [first, ...others] = files.get(content.name) ?? [];
  if (first === undefined) return;
  yield { ...header(first, root), content: content.data };
  for (const other of others)
    yield { ...header(other, root), type: 'hardlink', size: 0, link: first.path };
}

function bootEntries(
  { origin, cmdline, kernel, ucode }: Kernel,
  cache: ComposeCache,
): readonly EntryWithContent[] {
  const text = Buffer.from(cmdline);
  const entry = (
    path: string,
    mode: number,
    size: number,
    content: AsyncIterable<Uint8Array>,
  ): EntryWithContent => ({
    ...rootEntry(path, 'file', mode, size),
    pax: pax(origin),
    ...(size === 0 ? {} : { content }),
  });
  const file = (path: string, from: BootFile): EntryWithContent =>
    entry(path, from.mode, from.size, cache.read(from));
  return [
    { ...rootEntry('boot', 'directory', 0o755), pax: pax(origin) },
    entry('boot/cmdline', 0o644, text.length, singleChunk(text)),
    file('boot/kernel', kernel),
    ...(ucode === undefined ? [] : [file('boot/ucode.cpio', ucode)]),
  ];
}

function header(entry: RootEntry, { parts }: Root): EntryWithContent {
  return {
    ...entryMetadata(entry),
    pax: pax(parts[entry.wantedBy]?.origin ?? { source: '', location: '' }),
  };
}

function pax({ source, location }: Origin): ReadonlyMap<string, string> {
  return new Map([
    ['LINUXKIT.location', location],
    ['LINUXKIT.source', Buffer.from(source).toString('latin1')],
  ]);
}
