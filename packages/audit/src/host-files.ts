import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError, withPrefix } from '@lkt/core';
import { auditElf, type ElfReport } from './elf/audit-elf.ts';
import { isElf } from './elf/elf-file.ts';
import { fileAccess } from './elf/file-access.ts';

/**
 * Audits the ELF files at a path of the host: the file itself, or all below a directory. Does not
 * follow symbolic links.
 * @param shown the path as the user wrote it
 * @throws NOT_FOUND; ARCHIVE_INVALID if `path` is another kind of file; IO_FAILED
 */
export async function auditHostFiles(path: string, shown: string): Promise<readonly ElfReport[]> {
  const reports: ElfReport[] = [];
  const isNamed = !(await isDirectory(path, shown));
  for await (const { absolute, name } of filesIn(path, shown)) {
    const report = await auditHostFile(absolute, name);
    if (report !== undefined) reports.push(report);
    else if (isNamed) throw new LktError('ARCHIVE_INVALID', `${shown} is not an ELF file`);
  }
  return reports;
}

async function auditHostFile(path: string, shown: string): Promise<ElfReport | undefined> {
  try {
    await using handle = await open(path, 'r');
    const file = await fileAccess(handle);
    return isElf(await file.read(0, 4)) ? await auditElf(shown, file) : undefined;
  } catch (cause) {
    if (cause instanceof LktError) throw withPrefix(cause, `${shown} `);
    throw new LktError('IO_FAILED', `cannot read ${shown}`, { cause });
  }
}

async function isDirectory(path: string, shown: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR'))
      throw new LktError('NOT_FOUND', `there is no file ${shown}`, { cause });
    throw new LktError('IO_FAILED', `cannot read ${shown}`, { cause });
  }
}

async function* filesIn(
  path: string,
  shown: string,
): AsyncGenerator<{ readonly absolute: string; readonly name: string }> {
  const found = await readdir(path, { withFileTypes: true }).catch((cause: unknown) => {
    if (isErrno(cause, 'ENOTDIR')) return undefined;
    throw new LktError('IO_FAILED', `cannot read ${shown}`, { cause });
  });
  if (found === undefined) {
    yield { absolute: path, name: shown };
    return;
  }
  for (const entry of found.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const absolute = join(path, entry.name);
    if (entry.isDirectory()) yield* filesIn(absolute, join(shown, entry.name));
    else if (entry.isFile()) yield { absolute, name: join(shown, entry.name) };
  }
}
