import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, parseYaml, type ProgressEvent, type SourceFile } from '@lkt/core';
import {
  type ContainerConfig,
  type EntryWithContent,
  openStore,
  type Platform,
  type Store,
  toRaw,
  writeImage,
  writeLayer,
  writeTar,
} from '@lkt/oci';
import { onTestFinished } from 'vitest';
import { readConfig, type SystemConfig } from '../src/config/config.ts';

export const PLATFORM: Platform = { os: 'linux', architecture: 'amd64' };

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-image-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function tempStore(): Promise<Store> {
  return openStore(join(tempDir(), 'store'));
}

/** A file by its text, or another entry. */
export type Content = string | Buffer | Partial<EntryWithContent>;

/** Returns entries of a layer by path, owned by root. A trailing slash means a directory. */
function entries(contents: Readonly<Record<string, Content>>): EntryWithContent[] {
  return Object.entries(contents).map(([path, content]) => {
    const isDirectory = path.endsWith('/');
    const base = {
      path: toRaw(path.replace(/\/$/, '')),
      uid: 0,
      gid: 0,
      mtime: 1,
      size: 0,
    };
    if (typeof content === 'string' || Buffer.isBuffer(content)) {
      if (isDirectory) return { ...base, type: 'directory', mode: 0o755 };
      const data = Buffer.from(content);
      return { ...base, type: 'file', mode: 0o644, size: data.length, content: chunks(data) };
    }
    const type = content.type ?? (isDirectory ? 'directory' : 'symlink');
    return { ...base, type, mode: 0o755, ...content };
  });
}

export async function* chunks(data: Uint8Array): AsyncGenerator<Uint8Array> {
  if (data.length > 0) yield data;
}

export function link(target: string): Partial<EntryWithContent> {
  return { type: 'symlink', link: toRaw(target) };
}

export async function image(
  store: Store,
  layers: readonly Readonly<Record<string, Content>>[],
  config: ContainerConfig = {},
): Promise<Digest> {
  const written = [];
  for (const layer of layers) written.push(await writeLayer(store, entries(layer)));
  return (await writeImage(store, { config: { config }, layers: written, platform: PLATFORM }))
    .digest;
}

export async function tarBytes(contents: Readonly<Record<string, Content>>): Promise<Buffer> {
  return collect(writeTar(entries(contents)));
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

/** Long enough to be packed by itself. */
const LARGE = Buffer.concat([Buffer.alloc(100_000, 'all the words, '), Buffer.alloc(200_000)]);

/** Returns a small config with all features: kernel, two init images, containers, files. */
export async function sampleConfig(
  store: Store,
  kernelFile: string | Buffer = 'the kernel\n',
): Promise<string> {
  const kernel = await image(store, [
    {
      kernel: kernelFile,
      'kernel.tar': await tarBytes({
        'lib/': '',
        'lib/modules/': '',
        'lib/modules/1/': '',
        'lib/modules/1/virtio.ko': 'module',
      }),
      'ucode.cpio': Buffer.alloc(512, 'u'),
    },
  ]);
  const init = await image(store, [
    {
      bin: link('usr/bin'),
      lib: link('usr/lib'),
      'usr/': '',
      'usr/bin/': '',
      'usr/lib/': '',
      init: { type: 'file', mode: 0o755, size: 4, content: chunks(Buffer.from('init')) },
      'usr/bin/a': 'one\n',
      'usr/bin/b': { type: 'hardlink', link: 'usr/bin/a' },
      'dev/': '',
      'dev/null': { type: 'char', mode: 0o666, devMajor: 1, devMinor: 3 },
      'etc/': '',
      'etc/motd': 'hello',
    },
  ]);
  const runc = await image(store, [
    { 'bin/': '', 'bin/runc': 'runc\n', 'etc/': '', 'etc/motd': 'hello again' },
  ]);
  const label = { 'org.mobyproject.config': '{"capabilities": ["CAP_KILL"], "binds": ["/a:/b"]}' };
  const service = await image(
    store,
    [
      { 'bin/': '', 'bin/serve': 'x'.repeat(10_000), 'bin/large': LARGE, gone: LARGE },
      { '.wh.gone': '', 'bin/serve2': { type: 'hardlink', link: 'bin/large' } },
    ],
    { Cmd: ['/bin/serve'], Labels: label },
  );
  return `kernel:
  image: lkt/kernel:1@${kernel}
  cmdline: console=ttyS0
init:
  - lkt/init:1@${init}
  - lkt/runc:1@${runc}
onboot:
  - name: first
    image: lkt/service:1@${service}
    readonly: true
services:
  - name: serve
    image: lkt/service:1@${service}
    uid: serve
files:
  - path: etc/issue
    contents: "welcome\\n"
    mode: "0644"
  - path: root/.ssh/authorized_keys
    contents: key
`;
}

export class Recorder {
  readonly events: ProgressEvent[] = [];

  emit(event: ProgressEvent): void {
    this.events.push(event);
  }
}

/** Parses one document without includes. */
export function parseConfig(file: SourceFile): SystemConfig {
  return readConfig(parseYaml(file));
}
