// https://learn.microsoft.com/windows/win32/debug/pe-format
import { LktError } from '@lkt/core';

/** The headers of a PE32+ program (Microsoft's PE format), with their offsets in the file. */
export interface PeHeaders {
  /** Offset of `PE\0\0`. */
  readonly start: number;
  readonly optional: number;
  readonly sectionTable: number;
  readonly sections: readonly PeSection[];
  readonly fileAlignment: number;
  readonly sectionAlignment: number;
  readonly headersSize: number;
  /** DllCharacteristics, for example NX_COMPAT. */
  readonly dllCharacteristics: number;
}

/** A section of a program: its place in memory, and in the file. */
export interface PeSection {
  readonly name: string;
  readonly virtualSize: number;
  readonly virtualAddress: number;
  readonly rawSize: number;
  readonly rawOffset: number;
}

/** Size of a section header. */
export const SECTION_HEADER_SIZE = 40;
/** Offsets in the optional header. */
export const PE_CHECKSUM = 64;
export const PE_CERTIFICATES = 144;
/** DllCharacteristics flag: the program supports non-executable memory. */
export const NX_COMPAT = 0x0100;

/**
 * Reads the headers, which must be completely in `data`.
 * @param name the name of the program for the error
 * @throws IMAGE_INVALID unless it is an EFI program for amd64
 */
export function readPe(data: Buffer, name: string): PeHeaders {
  const wrong = (): LktError =>
    new LktError('IMAGE_INVALID', `${name} is not an EFI program for amd64`, {
      fix: 'use a kernel with CONFIG_EFI_STUB=y',
    });
  try {
    const start = data.readUInt32LE(0x3c);
    if (data.toString('latin1', 0, 2) !== 'MZ' || data.readUInt32LE(start) !== 0x4550)
      throw wrong();
    const optional = start + 24;
    if (data.readUInt16LE(start + 4) !== 0x8664 || data.readUInt16LE(optional) !== 0x20b)
      throw wrong();
    const count = data.readUInt16LE(start + 6);
    const sectionTable = optional + data.readUInt16LE(start + 20);
    const sections = Array.from({ length: count }, (_, index) =>
      readSection(data, sectionTable + SECTION_HEADER_SIZE * index),
    );
    return {
      start,
      optional,
      sectionTable,
      sections,
      sectionAlignment: data.readUInt32LE(optional + 32),
      fileAlignment: data.readUInt32LE(optional + 36),
      headersSize: data.readUInt32LE(optional + 60),
      dllCharacteristics: data.readUInt16LE(optional + 70),
    };
  } catch (error) {
    if (error instanceof RangeError) throw wrong();
    throw error;
  }
}

function readSection(data: Buffer, at: number): PeSection {
  return {
    name: data.toString('latin1', at, at + 8).replace(/\0.*$/s, ''),
    virtualSize: data.readUInt32LE(at + 8),
    virtualAddress: data.readUInt32LE(at + 12),
    rawSize: data.readUInt32LE(at + 16),
    rawOffset: data.readUInt32LE(at + 20),
  };
}
