// https://uapi-group.org/specifications/specs/unified_kernel_image/ (UAPI.5)
import { createHash } from 'node:crypto';
import { LktError } from '@lkt/core';
import { kernelRelease } from '../linux-boot/kernel-header.ts';
import { type EfiSigner, signPe } from '../pe/authenticode.ts';
import { type Content, exactBytes, inMemory, roundUp } from '../bytes/disk.ts';
import { zeros } from '../bytes/headed-bytes.ts';
import { packer } from '../bytes/pack.ts';
import { NX_COMPAT, PE_CERTIFICATES, PE_CHECKSUM, readPe, SECTION_HEADER_SIZE } from '../pe/pe.ts';
import { pcr11 } from './pcr.ts';

/** The parts of a unified kernel image. */
export interface UkiOptions {
  /** systemd's linuxx64.efi.stub. */
  readonly stub: Buffer;
  readonly kernel: Content;
  readonly initrd: Content;
  readonly cmdline: string;
  readonly signer?: EfiSigner;
}

/** A unified kernel image; its size is known before its bytes. */
export interface Uki extends Content {
  bytes(): AsyncIterable<Uint8Array>;
  /** PCR 11 of a TPM when it runs, in hexadecimal; known after `bytes` was read to its end. */
  readonly pcr11: string | undefined;
}

/** Independent of the system: firmware shows the name, and boot menus sort by it. */
const OS_RELEASE = 'NAME="lkt"\nID=lkt\nPRETTY_NAME="lkt"\n';
const SBAT_HEAD = 'sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md';
const SBAT_OWN =
  'uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/';
const INITIALIZED_DATA = 0x40;
const CODE = 0x20;
const READABLE = 0x4000_0000;
/** Header of a certificate table entry, which begins at a multiple of eight. */
const CERTIFICATE_HEAD = 8;
const certificateHead = packer('<IHH');
const sectionHeader = packer('<8sIIII12xI');

interface Section {
  readonly name: string;
  readonly content: Content;
}

interface PlacedSection extends Section {
  readonly offset: number;
  readonly rawSize: number;
}

/**
 * Combines kernel, initrd and command line into one EFI program (UAPI.5): systemd-stub with a
 * section for each. Equals the output of systemd's ukify, except that a signature contains no time.
 * @throws IMAGE_INVALID for a kernel that firmware cannot start
 * @throws UNSUPPORTED for inputs that exceed the format's limits
 * @example
 * ```ts
 * const uki = await planUki({ stub, kernel, initrd, cmdline: 'console=ttyS0' });
 * for await (const chunk of uki.bytes()) await file.write(chunk);
 * ```
 */
export async function planUki(options: UkiOptions): Promise<Uki> {
  const { kernel, initrd, cmdline, signer } = options;
  const stub = readPe(options.stub, 'the stub');
  const facts = await kernelFacts(kernel);
  const sbat = stub.sections.find(({ name }) => name === '.sbat');
  const sbatText = mergeSbat(
    sbat === undefined ? '' : rawText(options.stub, sbat.rawOffset, sbat.rawSize),
    facts.sbat,
  );
  const sections: readonly Section[] = [
    { name: '.osrel', content: inMemory(Buffer.from(OS_RELEASE)) },
    { name: '.cmdline', content: inMemory(Buffer.from(cmdline)) },
    { name: '.uname', content: inMemory(Buffer.from(facts.release)) },
    { name: '.linux', content: kernel },
    { name: '.initrd', content: initrd },
  ].filter(({ content }) => content.size > 0);

  const { fileAlignment, sectionAlignment, optional, sectionTable } = stub;
  const head = Buffer.from(options.stub);
  if (sbat !== undefined) {
    if (sbatText.length > sbat.rawSize)
      throw new LktError(
        'UNSUPPORTED',
        'the .sbat section of the kernel is too large for the stub',
      );
    head.fill(0, sbat.rawOffset, sbat.rawOffset + sbat.rawSize);
    sbatText.copy(head, sbat.rawOffset);
    const index = stub.sections.indexOf(sbat);
    head.writeUInt32LE(sbatText.length, sectionTable + SECTION_HEADER_SIZE * index + 8);
  }
  const last = stub.sections.at(-1);
  let address = roundUp((last?.virtualAddress ?? 0) + (last?.virtualSize ?? 0), sectionAlignment);
  const start = roundUp(head.length, fileAlignment);
  let offset = start;
  let header = sectionTable + SECTION_HEADER_SIZE * stub.sections.length;
  let initialized = head.readUInt32LE(optional + 8);
  const headersSize = roundUp(stub.headersSize, fileAlignment);
  const placed: PlacedSection[] = [];
  for (const { name, content } of sections) {
    if (header + SECTION_HEADER_SIZE > headersSize)
      throw new Error(`no room for the header of ${name}`);
    const rawSize = roundUp(content.size, fileAlignment);
    if (offset + rawSize > 0x7fff_ffff || address + content.size > 0x7fff_ffff)
      throw new LktError(
        'UNSUPPORTED',
        'the kernel and the initrd are too large for an EFI program',
        { fix: 'use --format kernel+initrd, or raw-bios' },
      );
    const flags = (READABLE | (name === '.linux' ? CODE : INITIALIZED_DATA)) >>> 0;
    sectionHeader(name, content.size, address, rawSize, offset, flags).copy(head, header);
    placed.push({ name, content, offset, rawSize });
    initialized += content.size;
    header += SECTION_HEADER_SIZE;
    offset += rawSize;
    address = roundUp(address + content.size, sectionAlignment);
  }
  head.writeUInt16LE(stub.sections.length + placed.length, stub.start + 6);
  head.writeUInt32LE(initialized, optional + 8);
  head.writeUInt32LE(address, optional + 56);
  head.writeUInt32LE(headersSize, optional + 60);
  head.writeUInt32LE(0, optional + PE_CHECKSUM);
  if (!facts.isNxCompatible)
    head.writeUInt16LE(stub.dllCharacteristics & ~NX_COMPAT, optional + 70);

  const unsigned = offset;
  const aligned = roundUp(unsigned, 8);
  const certificates =
    signer === undefined
      ? 0
      : roundUp(CERTIFICATE_HEAD + signPe(Buffer.alloc(32), signer).length, 8);
  const size = signer === undefined ? unsigned : aligned + certificates;
  let result: string | undefined;
  return {
    size,
    get pcr11() {
      return result;
    },
    bytes: async function* () {
      const pe = createHash('sha256');
      const written = Buffer.from(head);
      const directory = optional + PE_CERTIFICATES;
      pe.update(written.subarray(0, optional + PE_CHECKSUM));
      pe.update(written.subarray(optional + PE_CHECKSUM + 4, directory));
      pe.update(written.subarray(directory + 8));
      if (signer !== undefined) {
        written.writeUInt32LE(aligned, directory);
        written.writeUInt32LE(certificates, directory + 4);
      }
      yield written;
      const hashed = async function* (
        chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
      ): AsyncGenerator<Uint8Array> {
        for await (const chunk of chunks) {
          pe.update(chunk);
          yield chunk;
        }
      };
      yield* hashed(zeros(start - written.length));
      const measured = new Map<string, Buffer>([
        ['.sbat', createHash('sha256').update(sbatText).digest()],
      ]);
      for (const { name, content, rawSize } of placed) {
        const hash = createHash('sha256');
        for await (const chunk of hashed(exactBytes(content))) {
          hash.update(chunk);
          yield chunk;
        }
        measured.set(name, hash.digest());
        yield* hashed(zeros(rawSize - content.size));
      }
      result = pcr11(measured);
      if (signer === undefined) return;
      yield* hashed(zeros(aligned - unsigned));
      yield certificateTable(signPe(pe.digest(), signer), certificates);
    },
  };
}

/** Returns a WIN_CERTIFICATE: its length, revision 2.0, PKCS #7. */
function certificateTable(signature: Buffer, size: number): Buffer {
  const head = certificateHead(CERTIFICATE_HEAD + signature.length, 0x0200, 0x0002);
  return Buffer.concat([head, signature], size);
}

interface KernelFacts {
  readonly release: string;
  readonly isNxCompatible: boolean;
  /** The content of section .sbat. */
  readonly sbat: string;
}

/** The part of a kernel that contains its headers and release. */
const KERNEL_HEAD_BYTES = 2 ** 16;
const MAX_SBAT_BYTES = 2 ** 16;

async function kernelFacts(kernel: Content): Promise<KernelFacts> {
  const head = await readPart(kernel, 0, KERNEL_HEAD_BYTES);
  const { sections, dllCharacteristics } = readPe(head, 'the kernel');
  const sbat = sections.find(({ name }) => name === '.sbat');
  const length = Math.min(sbat?.rawSize ?? 0, MAX_SBAT_BYTES);
  const part = await readPart(kernel, sbat?.rawOffset ?? 0, length);
  return {
    release: kernelRelease(head),
    isNxCompatible: (dllCharacteristics & NX_COMPAT) !== 0,
    sbat: rawText(part, 0, part.length),
  };
}

/** Returns a part of content. Reads all of it, so that all of it is verified. */
async function readPart(content: Content, offset: number, length: number): Promise<Buffer> {
  const part = Buffer.alloc(Math.max(0, Math.min(length, content.size - offset)));
  let at = 0;
  for await (const chunk of content.bytes()) {
    const from = Math.max(0, offset - at);
    if (at + from < offset + part.length && from < chunk.length)
      part.set(chunk.subarray(from, offset + part.length - at), at + from - offset);
    at += chunk.length;
  }
  return part;
}

function rawText(data: Buffer, offset: number, length: number): string {
  return data.toString('utf8', offset, offset + length).replace(/\0+$/, '');
}

/** Merges the revocation entries (SBAT) of the stub, the kernel, and UKIs in general. */
function mergeSbat(...texts: readonly string[]): Buffer {
  const lines = [...texts, `${SBAT_HEAD}\n${SBAT_OWN}\n`].flatMap((text) => {
    const [first = '', ...rest] = text.split('\n').filter((line) => line !== '');
    return first.startsWith('sbat,') ? rest : [];
  });
  return Buffer.from(`${[SBAT_HEAD, ...lines].join('\n')}\n\0`);
}
