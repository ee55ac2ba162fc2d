/**
 * A classic BPF program over `struct seccomp_data`. Every path through a part ends with a return,
 * so parts can be concatenated, and a jump only skips parts. See seccomp(2).
 */
export type Program = readonly Instruction[];

/** `struct sock_filter` of linux/filter.h. */
interface Instruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly value: number;
}

/** The kernel's maximum length (BPF_MAXINSNS). */
const MAX_LENGTH = 4096;
/** Maximum offset of a conditional jump. */
const MAX_JUMP = 255;

/** linux/bpf_common.h: class, size, mode, operation. */
export const CODE = {
  load: 0x20,
  jump: 0x05,
  jumpEqual: 0x15,
  jumpAtLeast: 0x35,
  jumpSet: 0x45,
  return: 0x06,
} as const;

/** Offsets in `struct seccomp_data`. */
export const NUMBER = 0;
export const ARCHITECTURE = 4;

/**
 * Returns the offset of the lower half of an argument; the upper half is 4 bytes after it, as both
 * machines are little-endian.
 */
export function argument(index: number): number {
  return 16 + 8 * index;
}

function instruction(code: number, value: number, jumpTrue = 0, jumpFalse = 0): Instruction {
  return { code, jumpTrue, jumpFalse, value };
}

export function returns(action: number): Program {
  return [instruction(CODE.return, action)];
}

/** Loads 32 bits for the following tests. */
export function load(offset: number, then: Program): Program {
  return [instruction(CODE.load, offset), ...then];
}

export function ifEqual(value: number, then: Program, otherwise: Program): Program {
  return branch(CODE.jumpEqual, value, then, otherwise);
}

/** Compares unsigned. */
export function ifAtLeast(value: number, then: Program, otherwise: Program): Program {
  return branch(CODE.jumpAtLeast, value, then, otherwise);
}

/** Tests whether any bit of the mask is set. */
export function ifAnySet(mask: number, then: Program, otherwise: Program): Program {
  return branch(CODE.jumpSet, mask, then, otherwise);
}

function branch(code: number, value: number, then: Program, otherwise: Program): Program {
  const over = otherwise.length;
  const test =
    over <= MAX_JUMP
      ? [instruction(code, value, over, 0)]
      : [instruction(code, value, 0, 1), instruction(CODE.jump, over)];
  return [...test, ...otherwise, ...then];
}

/** Returns the program as an array of `struct sock_filter`. */
export function encode(program: Program): Buffer {
  if (program.length > MAX_LENGTH) throw new Error(`a BPF program of ${program.length} steps`);
  const bytes = Buffer.alloc(8 * program.length);
  for (const [index, { code, jumpTrue, jumpFalse, value }] of program.entries()) {
    const at = 8 * index;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(jumpTrue, at + 2);
    bytes.writeUInt8(jumpFalse, at + 3);
    bytes.writeUInt32LE(value, at + 4);
  }
  return bytes;
}
