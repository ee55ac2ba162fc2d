import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntryWithContent, TreeNode } from '@lkt/oci';
import { auditFiles, type FilesReport } from '../src/audit-files.ts';

const NOW: Date = new Date('2026-01-01T00:00:00Z');

export interface Given {
  readonly mode?: number;
  readonly type?: TreeNode['type'];
  readonly content?: string | Buffer;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  readonly link?: string;
}

export async function audit(
  files: Readonly<Record<string, Given>>,
  {
    pieces = 7,
    shells = true,
    scratch: given,
  }: { pieces?: number; shells?: boolean; scratch?: string } = {},
): Promise<FilesReport> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'lkt-audit-'));
  const nodes = Object.entries(files).map(([path, parameterOrDefault]) =>
    nodeOf(path, parameterOrDefault),
  );
  const contents = async function* (): AsyncGenerator<EntryWithContent> {
    for (const node of nodes) {
      const bytes = Buffer.from(files[node.path]?.content ?? '');
      yield await Promise.resolve({ ...node, content: inPieces(bytes, pieces) });
    }
  };
  return await auditFiles(
    { nodes, contents: contents() },
    { scratch: given ?? scratch.path, now: NOW, shells },
  );
}

function nodeOf(
  path: string,
  { mode = 0o644, type = 'file', content = '', xattrs, link }: Given,
): TreeNode {
  return {
    path,
    type,
    mode,
    uid: 0,
    gid: 0,
    mtime: 0,
    layer: 0,
    size: content.length,
    xattrs,
    link,
  };
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size)
    yield await Promise.resolve(bytes.subarray(at, at + size));
}

/** Returns `path rule` of each finding. */
export async function found(...args: Parameters<typeof audit>): Promise<readonly string[]> {
  const { findings } = await audit(...args);
  return findings.map(({ path, rule }) => `${path} ${rule}`);
}
