import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, isErrno, type ProgressEvent } from '@lkt/core';
import {
  decompressLayer,
  type Descriptor,
  type EntryWithContent,
  loadImage,
  openStore,
  readTar,
  singleChunk,
  type Store,
  toRaw,
  writeImage,
  writeLayer,
} from '@lkt/oci';
import {
  type BuildRequest,
  type ContextFile,
  type Engine,
  nativeEngine,
  type RemoteSteps,
} from '../src/index.ts';
import { COMPILED } from './compiled-code.ts';

const platform = { os: 'linux', architecture: 'amd64' } as const;

/** The paths of all that `scratch` has returned in a file of tests. */
export const scratchPaths: string[] = [];

/** Returns a directory that is removed after the test. Every user may enter it. */
export function scratch(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'lkt-build-'));
  scratchPaths.push(path);
  chmodSync(path, 0o755);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const APPLETS =
  'basename cat chmod chown cp date dd dirname env find grep head hostname id ip kill ln ls mkdir mkfifo mknod mount mv nc od printf ps readlink rm rmdir sed seq setsid sh sleep sort stat tail tee test touch tr true umount wc';

/** Writes a base image with a static busybox of Debian's package busybox-static. */
async function writeBase(store: Store): Promise<Digest> {
  const busybox = readFileSync('/usr/bin/busybox');
  const layer = await writeLayer(store, [
    directory('bin'),
    file('bin/busybox', busybox, 0o755),
    ...APPLETS.split(' ').map((name) => link(`bin/${name}`, 'busybox')),
    directory('dev'),
    directory('etc'),
    file('etc/group', 'root:x:0:\nstaff:x:50:joe\njoe:x:1000:\n'),
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n'),
    directory('proc'),
    directory('sys'),
    directory('tmp', 0o1777),
  ]);
  const config = { config: { Env: ['PATH=/bin'] } };
  return (await writeImage(store, { config, layers: [layer], platform })).digest;
}

const root = { uid: 0, gid: 0, mtime: 1_492_533_000, size: 0 };

export function directory(path: string, mode = 0o755): EntryWithContent {
  return { ...root, path, type: 'directory', mode };
}

export function link(path: string, target: string): EntryWithContent {
  return { ...root, path, type: 'symlink', mode: 0o777, link: target };
}

export function hardlink(path: string, target: string): EntryWithContent {
  return { ...root, path, type: 'hardlink', mode: 0o644, link: target };
}

export function file(path: string, content: string | Buffer, mode = 0o644): EntryWithContent {
  const bytes = Buffer.from(content);
  return { ...root, path, type: 'file', mode, size: bytes.length, content: singleChunk(bytes) };
}

/** Returns the files below a directory as a build context. */
export function contextOf(directoryPath: string): ContextFile[] {
  // A recursive readdir would follow symbolic links.
  const walk = (parent: string): string[] =>
    readdirSync(parent, { withFileTypes: true }).flatMap((item) => {
      const path = join(parent, item.name);
      return item.isDirectory() ? walk(path) : [path];
    });
  return walk(directoryPath).map((source) => ({
    path: toRaw(source.slice(directoryPath.length + 1)),
    source,
  }));
}

export interface Built {
  readonly descriptor: Descriptor;
  readonly diffIds: readonly Digest[];
  readonly log: string;
  /** Titles of the steps that ran. `cached`: of those from the cache. */
  readonly ran: readonly string[];
  readonly cached: readonly string[];
  readonly warnings: readonly string[];
}

/** The key of the stores that `build` uses, also from several processes. */
export const TEST_KEY = 'the key of tests';

// Workers share the compile cache of this process, so that they do not compile their code again.
enableCompileCache(COMPILED);

/** Builds a Dockerfile, with the native engine by default. `base` is the image of `writeBase`. */
export async function build(
  storeDir: string,
  text: string,
  options: Partial<BuildRequest> & {
    readonly signal?: AbortSignal;
    readonly onEvent?: (event: ProgressEvent) => void;
    readonly engine?: Engine;
    readonly cache?: RemoteSteps;
    readonly env?: Readonly<Record<string, string | undefined>>;
  } = {},
): Promise<Built> {
  const { signal, onEvent, engine = nativeEngine(), cache, env, ...request } = options;
  const store = await openStore(storeDir, { key: () => TEST_KEY });
  const events: ProgressEvent[] = [];
  const descriptor = await engine.build(
    {
      name: 'test',
      dockerfile: { path: 'Dockerfile', text },
      context: [],
      buildArgs: new Map(),
      labels: {},
      platform,
      network: false,
      bases: new Map([['base', await writeBase(store)]]),
      ...request,
    },
    {
      store,
      reporter: {
        emit: (event) => {
          events.push(event);
          onEvent?.(event);
        },
      },
      signal,
      cache,
      env,
    },
  );
  const image = await loadImage(store, descriptor.digest, request.platform ?? platform);
  const title = new Map<string, string>();
  const done = (isCached: boolean): string[] =>
    events.flatMap((event) => {
      if (event.kind === 'start') title.set(event.id, event.title.replace(/^\[.*?\] /, ''));
      return event.kind === 'done' && event.cached === isCached ? [title.get(event.id) ?? ''] : [];
    });
  return {
    descriptor,
    diffIds: image.config.rootfs.diff_ids,
    log: events.map((event) => (event.kind === 'log' ? event.text : '')).join(''),
    ran: done(false),
    cached: done(true),
    warnings: events.flatMap((event) => (event.kind === 'warning' ? [event.text] : [])),
  };
}

/**
 * Returns the entries of a layer, by default the last one, as lines: type, mode, owner, time, path.
 */
export async function listing(storeDir: string, built: Built, index = -1): Promise<string[]> {
  const store = await openStore(storeDir);
  const image = await loadImage(store, built.descriptor.digest, platform);
  const layer = image.manifest.layers.at(index);
  if (layer === undefined) throw new Error('no such layer');
  const lines: string[] = [];
  for await (const entry of readTar(decompressLayer(layer, store.read(layer)))) {
    const { path, type, mode, uid, gid, mtime, link: target } = entry;
    const arrow = target === undefined ? '' : ` -> ${target}`;
    lines.push(`${type} ${mode.toString(8)} ${uid}:${gid} ${mtime} ${path}${arrow}`);
  }
  return lines;
}

/**
 * Returns the mounts and processes of this machine that belong to a store; empty after a clean end.
 */
export function leftovers(storeDir: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(storeDir) || line.includes('lowerdir=l/'));
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const mountsOf = readFileSync(`/proc/${pid}/mounts`, 'utf8');
        const cwd = readlinkSync(`/proc/${pid}/cwd`);
        return mountsOf.includes(storeDir) || cwd.startsWith(storeDir) ? [`process ${pid}`] : [];
      } catch {
        return [];
      }
    });
  return [...mounts, ...processes];
}

/**
 * Waits until all items are gone. Other builds on this machine also have control groups and mounts
 * for a while, a compiler's for two minutes, and the kernel takes a moment to end the descendants
 * of a killed process.
 * @param others items to ignore
 */
export async function untilGone(
  list: () => readonly string[],
  others: readonly string[] = [],
): Promise<void> {
  const before = list().filter((item) => !others.includes(item));
  for (let wait = 0; wait < 3000; wait += 1) {
    const now = new Set(list());
    if (!before.some((item) => now.has(item))) return;
    await sleep(50);
  }
  throw new Error(`something stayed: ${before.join(', ')}`);
}

/** Returns the control groups of RUN commands. */
export function groups(): string[] {
  for (;;) {
    try {
      return readdirSync('/sys/fs/cgroup', { recursive: true })
        .map(String)
        .filter((name) => /lkt-[0-9a-f]{12}-\d+$/.test(name));
    } catch (error) {
      // Another build removed its group meanwhile.
      if (!isErrno(error, 'ENOENT', 'ENODEV')) throw error;
    }
  }
}
