import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { LktError, silentReporter } from '@lkt/core';
import { formatReference, openStore, readTar, type Store } from '@lkt/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mapReferences, type SystemConfig } from '../../src/config/config.ts';
import { type ImageReference } from '../../src/config/reference.ts';
import { tarOf } from '../../src/output/tar.ts';
import { ImageCaches } from '../../src/image-caches.ts';
import { planConfig } from '../../src/plan.ts';
import { parseConfig } from '../support.ts';
import { withoutIpcHost } from './ipc-host.ts';
import { withVolumeMounts } from './volume-mounts.ts';

const vectors =
  process.env['LKT_VECTORS'] ?? join(import.meta.dirname, '../../../../../shared/vectors');

interface GoldenEntry {
  readonly name: string;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly linkname?: string;
  readonly dev?: readonly number[];
  readonly size?: number;
  readonly sha256?: string;
  readonly content?: string;
  readonly pax: Readonly<Record<string, string>>;
}

interface Golden {
  readonly source: string;
  readonly exit: number;
  readonly cmdline?: string;
  readonly entries?: readonly GoldenEntry[];
}

const SOURCE_DATE_EPOCH = 1492533000;

/** Deliberate differences from LinuxKit's tree. docs/linuxkit.md gives the reasons. */
const RULES = {
  /** Times are at most the epoch. */
  clampTime: (entry: GoldenEntry): GoldenEntry => ({
    ...entry,
    mtime: Math.min(entry.mtime, SOURCE_DATE_EPOCH),
  }),
  /** Symbolic links have no mode on Linux. */
  linkMode: (entry: GoldenEntry): GoldenEntry =>
    entry.type === 'symlink' ? { ...entry, mode: '0777' } : entry,
  /** `docker.io/redis` is `docker.io/library/redis`. */
  fullNames: (entry: GoldenEntry): GoldenEntry => ({
    ...entry,
    pax: Object.fromEntries(
      Object.entries(entry.pax).map(([key, value]) => [
        key,
        value.replace(/^docker\.io\/([^/]+)$/, 'docker.io/library/$1'),
      ]),
    ),
  }),
} as const;

let dir: string;
let store: Store;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lkt-golden-'));
  cpSync(join(vectors, 'stub-cache'), join(dir, 'store'), { recursive: true });
  store = await openStore(join(dir, 'store'));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("LinuxKit's trees", () => {
  for (const file of readdirSync(join(vectors, 'golden')).filter((name) =>
    name.endsWith('.json'),
  )) {
    it(basename(file, '.json').replaceAll('__', '/'), async () => {
      const golden = JSON.parse(readFileSync(join(vectors, 'golden', file), 'utf8')) as Golden;
      const path = join(vectors, 'yml', golden.source);
      const source = { path, text: readFileSync(path, 'utf8') };
      if (golden.exit !== 0) {
        expect(() => parseConfig(source)).toThrow(LktError);
        return;
      }
      const config = withSources(parseConfig(source), golden.entries ?? []);
      const ours = await treeOf(named(config, golden), golden);
      const theirs = expected(golden.entries ?? [], ours, config);
      expect([...ours.keys()].toSorted()).toEqual([...theirs.keys()].toSorted());
      for (const [name, entry] of theirs)
        expect({ [name]: ours.get(name) }).toEqual({ [name]: entry });
    });
  }
});

/** Returns the last of LinuxKit's entries for each path, with the rules applied. */
function expected(
  entries: readonly GoldenEntry[],
  ours: ReadonlyMap<string, GoldenEntry>,
  config: SystemConfig,
): ReadonlyMap<string, GoldenEntry> {
  const last = new Map<string, GoldenEntry>();
  const before = new Map<string, GoldenEntry>();
  for (const entry of entries) {
    const { name } = entry;
    // files-parents: an existing directory above a file of `files` stays unchanged.
    const present = last.get(name);
    if (isParentOfFile(config, entry) && present !== undefined) continue;
    if (present !== undefined) before.set(name, present);
    last.set(name, entry);
  }
  const result = new Map<string, GoldenEntry>();
  for (const [name, entry] of last) {
    // read-only volume: it has no directory for writes, by which init recognises it.
    const volume = /^containers\/volumes\/([^/]+)\/tmp$/.exec(name)?.[1];
    if (config.volumes.some((item) => item.readonly && item.name === volume)) continue;
    // opaque: what an opaque directory hides stays hidden.
    if (/(?:^|\/)usr\/share\/opq\/old$/.test(name) && !ours.has(name)) continue;
    // apk: the package databases of the init images are not merged.
    const kept =
      entry.pax['LINUXKIT.source'] === 'LINUXKIT.apkinit' ? (before.get(name) ?? entry) : entry;
    let adjusted = kept;
    // volumeMounts: volume names are resolved in `mounts` too, and bound.
    if (name.endsWith('/config.json')) adjusted = withVolumePaths(adjusted, config);
    for (const rule of Object.values(RULES)) adjusted = rule(adjusted);
    result.set(name, inode(adjusted, last));
  }
  // manifest: lkt's own.
  for (const name of ['usr/share/lkt', 'usr/share/lkt/manifest', 'usr', 'usr/share']) {
    const own = ours.get(name);
    if (own !== undefined && !result.has(name)) result.set(name, own);
  }
  return result;
}

/** Replaces host files of the original tree, which are missing here, by their contents. */
function withSources(config: SystemConfig, entries: readonly GoldenEntry[]): SystemConfig {
  return {
    ...config,
    files: config.files.map((file) => {
      const text = entries.find(({ name }) => name === file.path)?.content;
      return file.content.kind === 'source' && text !== undefined
        ? { ...file, content: { kind: 'contents', text } }
        : file;
    }),
  };
}

function withVolumePaths(entry: GoldenEntry, config: SystemConfig): GoldenEntry {
  const names = config.volumes.map(({ name }) => name);
  const text = withVolumeMounts(entry.content ?? '', names);
  return {
    ...entry,
    size: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
  };
}

function isParentOfFile(config: SystemConfig, { name, pax, type }: GoldenEntry): boolean {
  return (
    type === 'dir' &&
    pax['LINUXKIT.source'] === 'linuxkit.files' &&
    config.files.some(({ path }) => path.startsWith(`${name}/`))
  );
}

/** Returns a hard link as a file. */
function inode(
  { content: _content, ...entry }: GoldenEntry,
  all: ReadonlyMap<string, GoldenEntry>,
): GoldenEntry {
  if (entry.type !== 'hardlink') return entry;
  const target = all.get(entry.linkname ?? '');
  if (target === undefined) throw new Error(`no ${entry.linkname}`);
  const { linkname: _linkname, ...rest } = entry;
  return {
    ...rest,
    type: 'file',
    size: target.size,
    sha256: target.sha256,
  };
}

/** Adds package hashes, which LinuxKit took from its own checkout. */
function named(config: SystemConfig, golden: Golden): SystemConfig {
  return mapReferences(config, (reference) => {
    const [full] = reference.reference === undefined ? storeNames(reference, golden) : [];
    return full === undefined ? reference : { ...reference, full };
  });
}

async function treeOf(
  config: SystemConfig,
  golden: Golden,
): Promise<ReadonlyMap<string, GoldenEntry>> {
  await using caches = new ImageCaches(store);
  const plan = await planConfig(
    config,
    {
      store,
      caches,
      platform: { os: 'linux', architecture: 'amd64' },
      homeDir: dir,
      reporter: silentReporter,
    },
    async (reference) => {
      const names = storeNames(reference, golden);
      for (const name of names) {
        const found = await store.resolve(name);
        if (found !== undefined) return found.digest;
      }
      throw new LktError('NOT_FOUND', names.join(', '));
    },
  );
  const tree = new Map<string, GoldenEntry>();
  for await (const entry of readTar(tarOf(plan))) {
    const name = Buffer.from(entry.path, 'latin1').toString();
    expect(tree.has(name)).toBe(false);
    const parent = dirname(name);
    expect(parent === '.' || tree.get(parent)?.type === 'dir').toBe(true);
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry.content ?? []) chunks.push(chunk);
    let content = Buffer.concat(chunks);
    // ipcHost: init gives other containers an IPC namespace.
    if (/^containers\/.+\/config\.json$/.test(name))
      content = Buffer.from(withoutIpcHost(content.toString()));
    const { type, mode, uid, gid, mtime, link, devMajor, devMinor, pax } = entry;
    tree.set(name, {
      name,
      type: type === 'directory' ? 'dir' : type,
      mode: mode.toString(8).padStart(4, '0'),
      uid,
      gid,
      mtime,
      linkname: link === undefined ? undefined : Buffer.from(link, 'latin1').toString(),
      dev: type === 'char' || type === 'block' ? [devMajor ?? 0, devMinor ?? 0] : undefined,
      ...(type === 'file'
        ? { size: content.length, sha256: createHash('sha256').update(content).digest('hex') }
        : {}),
      pax: Object.fromEntries([...(pax ?? [])].filter(([key]) => key.startsWith('LINUXKIT.'))),
    });
  }
  return new Map([...tree].map(([name, entry]) => [name, inode(entry, tree)]));
}

function storeNames({ reference, text }: ImageReference, golden: Golden): readonly string[] {
  if (reference === undefined) {
    // LinuxKit took the hash of the package from its own checkout.
    const name = text.replace(/^@pkg:\.\/(?:pkg\/)?/, 'docker.io/linuxkit/');
    const sources = (golden.entries ?? []).map(({ pax }) => pax['LINUXKIT.source'] ?? '');
    return sources.filter((source) => source.startsWith(`${name}:`)).slice(0, 1);
  }
  const full = formatReference(reference);
  return [full, `${full}:latest`];
}
