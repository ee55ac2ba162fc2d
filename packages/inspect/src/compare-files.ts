import { compareBytes, fromRaw } from '@lkt/oci';
import type { FileFacts, FileMap } from '@lkt/formats';

/** A path that differs between two images. */
export interface FileChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** The differences as text: `content`, `mode 0755 → 0700`. */
  readonly what: readonly string[];
  /** SHA-256 of a file's content, 64 hex digits. */
  readonly before?: string;
  readonly after?: string;
  /** Bytes that the second image has more; negative if it has less, missing if none. */
  readonly growth?: number;
  /** The image or config section that the file comes from, if known. */
  readonly source?: string;
  readonly location?: string;
}

/** Returns the paths that differ, in byte order. */
export function compareFiles(before: FileMap, after: FileMap): readonly FileChange[] {
  const changes: FileChange[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].toSorted(compareBytes)) {
    const old = before.get(path);
    const now = after.get(path);
    const what = old !== undefined && now !== undefined ? differences(old, now) : [];
    if (old !== undefined && now !== undefined && what.length === 0) continue;
    const { source, location } = now ?? old ?? {};
    const growth = bytesOf(now) - bytesOf(old);
    changes.push({
      path: `/${fromRaw(path)}`,
      change: old === undefined ? 'added' : now === undefined ? 'removed' : 'changed',
      what: what.length > 0 ? what : [describe(now ?? old)],
      before: old?.hash,
      after: now?.hash,
      growth: growth === 0 ? undefined : growth,
      source: source === undefined ? undefined : Buffer.from(source, 'latin1').toString(),
      location,
    });
  }
  return changes;
}

function bytesOf(facts: FileFacts | undefined): number {
  return facts?.type === 'file' ? facts.size : 0;
}

function describe(facts: FileFacts | undefined): string {
  if (facts === undefined) return '';
  const { type, mode, uid, gid, size } = facts;
  const owner = uid === 0 && gid === 0 ? '' : `, owner ${uid}:${gid}`;
  return `${type} ${octal(mode)}${owner}${type === 'file' ? `, ${size} bytes` : ''}`;
}

function differences(old: FileFacts, now: FileFacts): readonly string[] {
  const what: string[] = [];
  const changed = (name: string, before: string, after: string): void => {
    if (before !== after) what.push(`${name} ${before} → ${after}`);
  };
  changed('type', old.type, now.type);
  if (old.hash !== now.hash)
    what.push(old.size === now.size ? 'content' : `content (${old.size} → ${now.size} bytes)`);
  if (old.type === now.type && old.link !== now.link)
    changed('target', fromRaw(old.link ?? ''), fromRaw(now.link ?? ''));
  if (old.type === now.type) changed('device', old.device ?? '', now.device ?? '');
  changed('mode', octal(old.mode), octal(now.mode));
  changed('owner', `${old.uid}:${old.gid}`, `${now.uid}:${now.gid}`);
  changed('time', time(old), time(now));
  if (old.xattrs !== now.xattrs) what.push('extended attributes');
  return what;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function time({ mtime }: FileFacts): string {
  const date = new Date(mtime * 1000);
  return Number.isNaN(date.getTime()) ? String(mtime) : date.toISOString().replace('.000Z', 'Z');
}
