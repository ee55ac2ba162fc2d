import { digestOf } from '@lkt/core';
import { fromRaw, joinChunks, parentPath, singleChunk, SOURCE_DATE_EPOCH, toRaw } from '@lkt/oci';
import { containerIds, type SystemConfig } from '../config/config.ts';
import type { FileEntry } from '../config/files.ts';
import { numericId } from '../runtime/spec.ts';
import { CONFIG_SEGMENT } from './containers.ts';
import { type HostEntry, readSource, searchable } from './host-files.ts';
import { metadataOf } from './metadata.ts';
import type { Root } from './merge.ts';
import type { Contents, Part } from './part.ts';

/**
 * Returns the parts of the `files` section. An implied parent directory has the owner of the file,
 * and its mode with search permission added where it has any other.
 * @param homeDir for sources that start with `~/`
 */
export async function fileParts(
  config: SystemConfig,
  homeDir: string | undefined,
): Promise<readonly Part[]> {
  const ids = containerIds(config);
  const parts: Part[] = [];
  for (const [index, file] of config.files.entries()) {
    const entries = await entriesOf(file, config, homeDir);
    if (entries.length === 0) continue;
    const owner = { uid: numericId(file.uid, ids), gid: numericId(file.gid, ids) };
    parts.push({
      origin: { source: 'linuxkit.files', location: `files[${index}]` },
      label: `files[${index}]`,
      isRoot: true,
      segment: CONFIG_SEGMENT,
      entries: [...parentsOf(file, entries), ...entries].map(({ path, type, mode, ...entry }) => ({
        ...owner,
        mtime: SOURCE_DATE_EPOCH,
        size: entry.content?.size ?? 0,
        path,
        type,
        mode,
        ...(entry.isWeak === true ? { isWeak: true } : {}),
        link: entry.link,
        content: entry.content === undefined ? undefined : path,
      })),
      contents: contentsOf(entries),
    });
  }
  return parts;
}

/**
 * Returns the files that the config puts directly into a directory, by name.
 * @param dir such as `etc/sysctl.d`
 * @param homeDir for sources that start with `~/`
 * @throws LktError NOT_FOUND, CONFIG_INVALID
 */
export async function configFilesIn(
  config: SystemConfig,
  dir: string,
  homeDir: string | undefined,
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const file of config.files) {
    const path = fromRaw(file.path);
    // Other sources are not read; they may not exist.
    if (!path.startsWith(`${dir}/`) && !`${dir}/`.startsWith(`${path}/`)) continue;
    for (const entry of await entriesOf(file, config, homeDir)) {
      if (fromRaw(parentPath(entry.path)) !== dir || entry.content === undefined) continue;
      const data = await joinChunks(entry.content.read());
      found.set(fromRaw(entry.path).slice(dir.length + 1), data);
    }
  }
  return found;
}

/**
 * Returns a warning for each file of SSH keys that the config makes optional and the image lacks.
 */
export function missingKeys({ files }: SystemConfig, { entries }: Root): readonly string[] {
  return files.flatMap(({ path, content, optional, at }) => {
    const name = fromRaw(path);
    if (!optional || content.kind !== 'source' || !name.endsWith('/authorized_keys')) return [];
    if (entries.get(path) !== undefined) return [];
    const { line, column } = at.position;
    const where = `${at.file.path}:${line}:${column}`;
    const what = `${name} is left out, so no user can log in by SSH`;
    return [`${where}: ${what}: ${content.source} does not exist`];
  });
}

/** Directories over which lkt/init mounts file systems in memory. */
const IN_MEMORY: readonly string[] = ['run', 'tmp', 'var'];

/** Returns a warning for each entry of `files` that a file system of lkt/init hides at boot. */
export function hiddenFiles({ files }: SystemConfig): readonly string[] {
  return files.flatMap(({ path, at }) => {
    const top = path.split('/')[0] ?? '';
    if (!IN_MEMORY.includes(top)) return [];
    const { line, column } = at.position;
    const what = `a file system in memory, which lkt/init mounts on /${top}, hides /${fromRaw(path)}`;
    return [`${at.file.path}:${line}:${column}: ${what}`];
  });
}

async function entriesOf(
  file: FileEntry,
  config: SystemConfig,
  homeDir: string | undefined,
): Promise<readonly HostEntry[]> {
  const { path, content } = file;
  if (content.kind === 'source') return readSource(file, content, homeDir);
  if (content.kind === 'directory') return [{ path, type: 'directory', mode: file.mode ?? 0o700 }];
  if (content.kind === 'symlink')
    return [{ path, type: 'symlink', mode: 0o777, link: toRaw(content.target) }];
  const text = content.kind === 'contents' ? content.text : metadataOf(config, content.format);
  const data = Buffer.from(text);
  const bytes = { digest: digestOf(data), size: data.length, read: () => singleChunk(data) };
  return [{ path, type: 'file', mode: file.mode ?? 0o600, content: bytes }];
}

/** Returns the directories above `path` of the config. */
function parentsOf(file: FileEntry, [first]: readonly HostEntry[]): readonly HostEntry[] {
  const mode = file.mode ?? (first?.type === 'directory' ? 0o700 : 0o600);
  const parents: HostEntry[] = [];
  for (let path = parentPath(file.path); path !== ''; path = parentPath(path))
    parents.unshift({ path, type: 'directory', mode: searchable(mode), isWeak: true });
  return parents;
}

function contentsOf(entries: readonly HostEntry[]): Contents {
  const files = entries.flatMap(({ path, content }) =>
    content === undefined ? [] : [{ path, content }],
  );
  return {
    key: files.map(({ path, content }) => `${path}\0${content.digest}`).join('\0'),
    async *read(wanted) {
      for (const { path, content } of files)
        if (wanted.has(path)) yield { name: path, data: content.read() };
    },
  };
}
