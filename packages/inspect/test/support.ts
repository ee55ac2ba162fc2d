import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageProvenanceOf, type SpdxDocument } from '@lkt/attest';
import { digestOf } from '@lkt/core';
import {
  cpioHeader,
  cpioPadding,
  cpioTrailer,
  type FileMap,
  fileSystemOf,
  type InodeEntry,
  planErofs,
} from '@lkt/formats';
import {
  type ContainerConfig,
  type Descriptor,
  type EntryWithContent,
  fromRaw,
  openStore,
  singleChunk,
  type Platform,
  type Store,
  toRaw,
  writeImage,
  writeLayer,
  writeTar,
} from '@lkt/oci';
import { onTestFinished } from 'vitest';
import type { ImageView } from '../src/view.ts';

export const PLATFORM: Platform = { os: 'linux', architecture: 'amd64' };

export function tempDir(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lkt-inspect-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export async function tempStore(): Promise<Store> {
  return openStore(join(tempDir(), 'store'));
}

/** A file, directory or symlink of a fixture: a text is a file, `/` ends a directory's path. */
export type Files = Readonly<Record<string, string | FixtureEntry>>;

/** `data` is the content of a file. */
type FixtureEntry = Partial<EntryWithContent> & { readonly data?: string };

type Fixture = InodeEntry & Pick<EntryWithContent, 'pax'> & { readonly data: Buffer };

/** Returns the entries of a fixture; files have mode 644 and the modification time 1. */
function fixtures(files: Files): readonly Fixture[] {
  return Object.entries(files).map(([path, content]) => {
    const isDirectory = path.endsWith('/');
    const text = typeof content === 'string' ? content : (content.data ?? '');
    const data = Buffer.from(isDirectory ? '' : text);
    const type = isDirectory ? 'directory' : typeof content === 'string' ? 'file' : 'symlink';
    const more = typeof content === 'string' ? {} : content;
    const mode = isDirectory ? 0o755 : 0o644;
    const size = data.length;
    const base = { path: toRaw(path.replace(/\/$/, '')), type, mode, uid: 0, gid: 0, mtime: 1 };
    return { ...base, ...more, size, data } as Fixture;
  });
}

function entriesOf(files: Files): readonly EntryWithContent[] {
  return fixtures(files).map(({ data, ...entry }) =>
    data.length === 0 ? entry : { ...entry, content: singleChunk(data) },
  );
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source, (part) => Uint8Array.from(part)));
}

/** Writes an image with one layer to the store. */
export async function storeImage(
  store: Store,
  files: Files,
  config: ContainerConfig = {},
): Promise<Descriptor> {
  const layer = await writeLayer(store, entriesOf(files));
  return writeImage(store, { config: { config }, layers: [layer], platform: PLATFORM });
}

export async function tarOf(files: Files): Promise<Buffer> {
  return collect(writeTar(entriesOf(files)));
}

/** Returns an uncompressed initrd. */
export function initrdOf(files: Files): Buffer {
  const parts = fixtures(files).flatMap((entry, index) => {
    const data = entry.type === 'symlink' ? Buffer.from(entry.link ?? '', 'latin1') : entry.data;
    const header = cpioHeader(entry, { number: index + 1, links: 1 }, data.length);
    return [header, data, cpioPadding(data.length)];
  });
  return Buffer.concat([...parts, cpioTrailer()]);
}

export async function erofsOf(files: Files): Promise<Buffer> {
  const all = fixtures(files);
  const tree = fileSystemOf(
    all.map((entry) => (entry.size === 0 ? entry : { ...entry, file: entry.path })),
    async function* () {
      for (const { path, data } of all)
        if (data.length > 0) yield { content: path, data: singleChunk(data) };
    },
  );
  const image = planErofs(tree, {});
  const bytes = await collect(image.bytes());
  const head = Buffer.concat([...image.head()]);
  return Buffer.concat([head, bytes.subarray(head.length)]);
}

/** Returns an EFI program (PE32+ for amd64) with up to four sections. */
export function efiProgram(...sections: readonly (readonly [string, Buffer])[]): Buffer {
  const head = Buffer.alloc(512);
  head.write('MZ', 0, 'latin1');
  head.writeUInt32LE(64, 0x3c);
  head.write('PE', 64, 'latin1');
  head.writeUInt16LE(0x8664, 68);
  head.writeUInt16LE(sections.length, 70);
  head.writeUInt16LE(240, 84);
  head.writeUInt16LE(0x20b, 88);
  const parts: Uint8Array[] = [head];
  let end = head.length;
  for (const [index, [name, content]] of sections.entries()) {
    const header = head.subarray(328 + 40 * index);
    header.write(name, 0, 'latin1');
    header.writeUInt32LE(content.length, 8);
    header.writeUInt32LE(content.length + 100, 16);
    header.writeUInt32LE(end, 20);
    parts.push(content, Buffer.alloc(100, 'x'));
    end += content.length + 100;
  }
  return Buffer.concat(parts);
}

/** Returns the file paths of a map with the SHA-256 of their content, or their type. */
export function summary(files: FileMap | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...(files ?? [])].map(([path, { type, hash }]) => [fromRaw(path), hash ?? type]),
  );
}

/** Returns the SHA-256 of a text, in hexadecimal digits. */
export function sha256(text: string): string {
  return digestOf(text).slice('sha256:'.length);
}

/** Returns a provenance file for outputs and inputs. */
export function provenanceFile(
  subjects: Readonly<Record<string, Buffer | string>>,
  dependencies: Parameters<typeof imageProvenanceOf>[0]['dependencies'] = [],
): string {
  return JSON.stringify(
    imageProvenanceOf(
      {
        subjects: Object.entries(subjects).map(([name, content]) => ({
          name,
          digest: digestOf(content),
        })),
        parameters: {
          configs: ['app.yml'],
          variables: { GREETING: 'hello' },
          platform: 'linux/amd64',
          formats: ['tar'],
        },
        dependencies,
      },
      undefined,
    ),
  );
}

export function sbom(packages: readonly object[]): SpdxDocument {
  const listed = packages.map((item, index) => ({ SPDXID: `SPDXRef-${index}`, ...item }));
  return {
    spdxVersion: 'SPDX-2.3',
    name: 'app',
    packages: listed,
    relationships: [],
  } as unknown as SpdxDocument;
}

/** Returns a view with the given parts; the others are empty. */
export function view(parts: Partial<ImageView> = {}): ImageView {
  return {
    kind: 'build',
    name: 'app',
    outputs: [],
    parameters: {},
    images: [],
    inputs: [],
    ...parts,
  };
}
