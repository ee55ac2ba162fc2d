import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { LktError } from '@lkt/core';
import { cpioPadding, type PeSection, readPe } from '@lkt/formats';

const MAX_PE_HEADER_BYTES = 2 ** 20;
const READ_SIZE = 2 ** 20;

/**
 * Streams the initrd that systemd-stub passes to the kernel of a unified kernel image (UAPI.5): the
 * section `.ucode`, if there is one, then `.initrd`.
 * @throws ARCHIVE_INVALID unless there is one section `.initrd`; UNSUPPORTED for profiles, of which
 * the boot menu chooses one
 */
export async function* initrdOfUki(path: string): AsyncGenerator<Uint8Array> {
  const { size } = await stat(path);
  const head = Buffer.alloc(Math.min(size, MAX_PE_HEADER_BYTES));
  await using file = await open(path, 'r');
  await file.read(head, 0, head.length, 0);
  const { sections } = readPe(head, basename(path));
  if (sections.some(({ name }) => name === '.profile'))
    throw new LktError('UNSUPPORTED', 'the EFI program has profiles, each with files of its own');
  const initrd = onlySection(sections, '.initrd');
  if (initrd === undefined)
    throw new LktError('ARCHIVE_INVALID', 'the EFI program has no section .initrd');
  const microcode = onlySection(sections, '.ucode');
  if (microcode !== undefined) {
    yield* sectionBytes(file, microcode);
    yield cpioPadding(sizeOf(microcode));
  }
  yield* sectionBytes(file, initrd);
}

/** Returns the section with a name. Versions of systemd-stub differ on which of two they use. */
function onlySection(sections: readonly PeSection[], wanted: string): PeSection | undefined {
  const [found, ...others] = sections.filter(({ name }) => name === wanted);
  if (others.length > 0)
    throw new LktError('ARCHIVE_INVALID', `the EFI program has two sections ${wanted}`);
  return found;
}

function sizeOf({ virtualSize, rawSize }: PeSection): number {
  return Math.min(virtualSize, rawSize);
}

async function* sectionBytes(file: FileHandle, section: PeSection): AsyncGenerator<Uint8Array> {
  const end = section.rawOffset + sizeOf(section);
  for (let at = section.rawOffset; at < end;) {
    const { bytesRead, buffer } = await file.read({
      buffer: Buffer.alloc(Math.min(READ_SIZE, end - at)),
      position: at,
    });
    if (bytesRead === 0) throw new LktError('ARCHIVE_INVALID', 'the file is truncated');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
