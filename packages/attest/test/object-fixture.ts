/** Machine code of a function, with the offsets of its relocations. */
export interface TestFunction {
  readonly code: Buffer;
  readonly relocations?: readonly number[];
}

/** Returns code without repetitions, which depends on the seed. */
export function code(seed: number, length: number): Buffer {
  let state = seed + 1;
  return Buffer.from(
    Array.from({ length }, () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 16),
  );
}

/** Returns an object file of x86-64 with each function in a section of its own. */
export function objectFile(functions: readonly TestFunction[]): Buffer {
  const parts: Buffer[] = [Buffer.alloc(64)];
  const headers: Buffer[] = [Buffer.alloc(64)];
  let end = 64;
  const add = (type: number, flags: number, info: number, content: Buffer): void => {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(type, 4);
    header.writeBigUInt64LE(BigInt(flags), 8);
    header.writeBigUInt64LE(BigInt(end), 24);
    header.writeBigUInt64LE(BigInt(content.length), 32);
    header.writeUInt32LE(info, 44);
    headers.push(header);
    parts.push(content);
    end += content.length;
  };
  const symbols: Buffer[] = [Buffer.alloc(24)];
  for (const { code: content, relocations = [] } of functions) {
    const section = headers.length;
    add(1, 6, 0, content);
    const symbol = Buffer.alloc(24);
    symbol[4] = 0x12; // global function
    symbol.writeUInt16LE(section, 6);
    symbol.writeBigUInt64LE(BigInt(content.length), 16);
    symbols.push(symbol);
    const entries = relocations.map((place) => {
      const entry = Buffer.alloc(24);
      entry.writeBigUInt64LE(BigInt(place));
      return entry;
    });
    add(4, 0, section, Buffer.concat(entries));
  }
  add(2, 0, 0, Buffer.concat(symbols));
  const [head = Buffer.alloc(0)] = parts;
  head.write('\x7fELF\x02\x01\x01', 'latin1');
  head.writeUInt16LE(1, 16);
  head.writeUInt16LE(62, 18);
  head.writeBigUInt64LE(BigInt(end), 40);
  head.writeUInt16LE(64, 58);
  head.writeUInt16LE(headers.length, 60);
  return Buffer.concat([...parts, ...headers]);
}

/** Returns a static library with these members. */
export function archive(...members: readonly Buffer[]): Buffer {
  const parts = members.map((content) => {
    const header = `${'x.o/'.padEnd(48)}${String(content.length).padEnd(10)}\`\n`;
    return Buffer.concat([Buffer.from(header), content, Buffer.alloc(content.length % 2, '\n')]);
  });
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts]);
}
