import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { chunkPieces, type EntryWithContent, fromRaw, type RawPath, type TreeNode } from '@lkt/oci';
import { auditElf, type ElfReport } from './elf/audit-elf.ts';
import { isElf, type RandomAccess } from './elf/elf-file.ts';
import { bufferAccess, fileAccess } from './elf/file-access.ts';
import { CertificateScan } from './rootfs/certificates.ts';
import { entryFindings, type Finding } from './rootfs/rules.ts';
import { SecretScan } from './rootfs/secrets.ts';

/** The files of an image. */
export interface FilesToAudit {
  /** All nodes of the file system. */
  readonly nodes: Iterable<TreeNode>;
  /** The contents of its files, in any order; each is read once. */
  readonly contents: AsyncIterable<EntryWithContent>;
}

/** Options of `auditFiles`. */
export interface AuditOptions {
  /**
   * Directory for a temporary copy of an ELF file whose content comes in chunks, because ELF files
   * need random access.
   */
  readonly scratch: string;
  /** Reference time for certificates. */
  readonly now: Date;
  /** Whether shells are allowed; default true. */
  readonly shells?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The result of `auditFiles`. */
export interface FilesReport {
  /** Sorted by path. */
  readonly elf: readonly ElfReport[];
  /** Sorted by path, then rule. */
  readonly findings: readonly Finding[];
  /**
   * Time at which the first currently valid certificate expires; undefined without certificates.
   */
  readonly until?: Date;
}

/**
 * Audits all files of an image: the ELF files, and the rules of `ROOTFS_RULES`. Reads each content
 * once.
 * @throws the errors of reading the files
 * @example
 * ```ts
 * const files = { nodes: tree.walk(), contents };
 * const { elf, findings } = await auditFiles(files, { scratch, now: new Date() });
 * ```
 */
export async function auditFiles(
  { nodes, contents }: FilesToAudit,
  options: AuditOptions,
): Promise<FilesReport> {
  const findings: Finding[] = [];
  for (const node of nodes) findings.push(...entryFindings(node, shown, options));
  const elf: ElfReport[] = [];
  const ends: Date[] = [];
  let opened: Promise<FileHandle> | undefined;
  const scratch = async (): Promise<FileHandle> => (opened ??= openUnlinked(options.scratch));
  try {
    for await (const entry of contents) {
      options.signal?.throwIfAborted();
      const found = await auditContent(entry, scratch, options);
      if (found.elf !== undefined) elf.push(found.elf);
      findings.push(...found.findings);
      if (found.until !== undefined) ends.push(found.until);
    }
  } finally {
    await (await opened)?.close();
  }
  return {
    elf: elf.toSorted((a, b) => compare(a.path, b.path)),
    findings: findings.toSorted((a, b) => compare(a.path, b.path) || compare(a.rule, b.rule)),
    until: ends.length === 0 ? undefined : new Date(Math.min(...ends.map(Number))),
  };
}

interface ContentReport {
  readonly elf?: ElfReport;
  readonly findings: readonly Finding[];
  readonly until?: Date;
}

async function auditContent(
  { path: raw, size: total, content }: EntryWithContent,
  scratch: () => Promise<FileHandle>,
  { now }: AuditOptions,
): Promise<ContentReport> {
  const path = shown(raw);
  const secrets = new SecretScan(path);
  const certificates = new CertificateScan(path, now);
  let start = Buffer.alloc(0);
  let size = 0;
  let program: ProgramReport | undefined;
  for await (const chunk of content ?? []) {
    for (const piece of chunkPieces(chunk)) {
      secrets.add(piece);
      certificates.add(piece);
    }
    if (start.length < MAGIC_BYTES) start = Buffer.concat([start, chunk.subarray(0, MAGIC_BYTES)]);
    if (isElf(start)) {
      // A whole file in memory needs no copy.
      if (chunk.length === total) {
        program = await auditProgram(path, bufferAccess(chunk));
      } else {
        const file = await scratch();
        // If the first chunk was shorter than the magic, write it now.
        if (size < MAGIC_BYTES && size > 0) await writeAt(file, start.subarray(0, size), 0);
        await writeAt(file, chunk, size);
      }
    }
    size += chunk.length;
  }
  if (program === undefined && isElf(start)) {
    const file = await scratch();
    await file.truncate(size);
    program = await auditProgram(path, await fileAccess(file));
  }
  const findings = [...secrets.findings(), ...certificates.findings()];
  if (program === undefined) return { findings, until: certificates.until };
  const { elf, malformed = [] } = program;
  return { elf, findings: [...findings, ...malformed] };
}

type ProgramReport =
  | { readonly elf: ElfReport; readonly malformed?: undefined }
  | { readonly elf?: undefined; readonly malformed: readonly Finding[] };

async function auditProgram(path: string, access: RandomAccess): Promise<ProgramReport> {
  try {
    return { elf: await auditElf(path, access) };
  } catch (cause) {
    if (!(cause instanceof LktError) || cause.code !== 'ARCHIVE_INVALID') throw cause;
    return { malformed: [{ rule: 'elf', path, what: cause.message }] };
  }
}

const MAGIC_BYTES = 4;

/** Opens a temporary file that disappears when closed. */
async function openUnlinked(directory: string): Promise<FileHandle> {
  const path = join(directory, 'elf');
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

function shown(path: RawPath): string {
  return `/${fromRaw(path)}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
