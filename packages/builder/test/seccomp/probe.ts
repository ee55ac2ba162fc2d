/** A system call of a test program for Linux on x86-64. */
export interface Probe {
  readonly number: number;
  readonly args?: readonly number[];
  /** Calls with `int 0x80`, as a 32-bit program. */
  readonly is32Bit?: boolean;
}

/** Returns an ELF program that makes one system call; its exit status is the errno, or 0. */
export function probeProgram({ number, args = [], is32Bit = false }: Probe): Buffer {
  const code = Buffer.from([
    ...immediate(0xb8, number), // eax
    ...(is32Bit
      ? // ebx, ecx, edx, esi
        [0xbb, 0xb9, 0xba, 0xbe].flatMap((opcode, at) => immediate(opcode, args[at] ?? 0))
      : [
          // edi, esi, edx, r10d
          ...[0xbf, 0xbe, 0xba].flatMap((opcode, at) => immediate(opcode, args[at] ?? 0)),
          0x41,
          ...immediate(0xba, args[3] ?? 0),
        ]),
    ...(is32Bit ? [0xcd, 0x80] : [0x0f, 0x05]),
    0x31,
    0xff, // edi = 0
    0x85,
    0xc0,
    0x79,
    0x04, // a result that is not negative is no error
    0x89,
    0xc7,
    0xf7,
    0xdf, // edi = -eax
    ...immediate(0xb8, 60), // exit
    0x0f,
    0x05,
  ]);
  const [base, start] = [0x40_0000n, 120n];
  const header = Buffer.alloc(120);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(62, 18); // EM_X86_64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(base + start, 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(5, 68); // PF_R | PF_X
  header.writeBigUInt64LE(base, 80);
  header.writeBigUInt64LE(base, 88);
  const size = start + BigInt(code.length);
  header.writeBigUInt64LE(size, 96);
  header.writeBigUInt64LE(size, 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, code]);
}

function immediate(opcode: number, value: number): number[] {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(opcode);
  bytes.writeUInt32LE(value >>> 0, 1);
  return [...bytes];
}
