/** Load address of the program, and size of its headers. */
const BASE = 0x40_0000;
const HEADERS = 64 + 56;

/**
 * Returns a minimal program: it creates the directory `/made`, prints the name of its architecture,
 * and exits with 0. It needs only a kernel, or an emulator of one.
 */
export function tinyProgram(architecture: 'amd64' | 'arm64'): Buffer {
  const said = Buffer.from(`${architecture}\n`);
  const path = Buffer.from('/made\0');
  const code = architecture === 'amd64' ? amd64 : arm64;
  const length = HEADERS + code(0, 0, 0).length;
  const program = code(BASE + length, BASE + length + path.length, said.length);
  const content = Buffer.concat([program, path, said]);
  const header = Buffer.alloc(HEADERS);
  header.write('\u007fELF', 'latin1');
  // 64 bits, little-endian, version 1.
  header.set([2, 1, 1], 4);
  // An executable file for the machine.
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(architecture === 'amd64' ? 62 : 183, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(BASE + HEADERS), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  // One segment, the whole file: readable and executable.
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(BigInt(BASE), 80);
  header.writeBigUInt64LE(BigInt(BASE), 88);
  const size = BigInt(HEADERS + content.length);
  header.writeBigUInt64LE(size, 96);
  header.writeBigUInt64LE(size, 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, content]);
}

/** mkdir(path, 0755); write(1, text, length); exit(0) */
function amd64(path: number, text: number, length: number): Buffer {
  const [eax, edx, esi, edi] = [0xb8, 0xba, 0xbe, 0xbf];
  const call = Buffer.from([0x0f, 0x05]);
  const make = [load(edi, path), load(esi, 0o755), load(eax, 83), call];
  const say = [load(edi, 1), load(esi, text), load(edx, length), load(eax, 1), call];
  const end = [load(edi, 0), load(eax, 60), call];
  return Buffer.concat([...make, ...say, ...end]);
}

/** @param instruction for the register, followed by a 32-bit value */
function load(instruction: number, value: number): Buffer {
  const code = Buffer.alloc(5);
  code.writeUInt8(instruction);
  code.writeUInt32LE(value, 1);
  return code;
}

/** mkdirat(AT_FDCWD, path, 0755); write(1, text, length); exit(0) */
function arm64(path: number, text: number, length: number): Buffer {
  const call = 0xd400_0001;
  // movn x0, #99: -100
  const here = 0x9280_0000 + 99 * 32;
  const make = [here, ...move(1, path), ...move(2, 0o755), ...move(8, 34), call];
  const say = [...move(0, 1), ...move(1, text), ...move(2, length), ...move(8, 64), call];
  const end = [...move(0, 0), ...move(8, 93), call];
  const words = [...make, ...say, ...end];
  const code = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word, index * 4);
  return code;
}

/** Returns movz, and movk with a shift of 16 bits: load 32 bits into a register. */
function move(register: number, value: number): readonly number[] {
  return [
    0xd280_0000 + (value & 0xffff) * 32 + register,
    0xf2a0_0000 + (value >>> 16) * 32 + register,
  ];
}
