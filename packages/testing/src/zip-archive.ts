import { crc32 } from 'node:zlib';

/** Returns a zip archive of one stored file (APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12, 4.3.16). */
export function zipOf(name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const path = Buffer.from(name);
  // Of both headers: version, flags, method, time and date, CRC, sizes, lengths of name and extra.
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt32LE(crc32(content), 10);
  fields.writeUInt32LE(content.length, 14);
  fields.writeUInt32LE(content.length, 18);
  fields.writeUInt16LE(path.length, 22);
  const file = Buffer.concat([signature(3, 4), fields, path, content]);
  const entry = Buffer.concat([
    signature(1, 2),
    fields.subarray(0, 2),
    fields,
    Buffer.alloc(14),
    path,
  ]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(entry.length, 8);
  end.writeUInt32LE(file.length, 12);
  return Buffer.concat([file, entry, signature(5, 6), end]);
}

function signature(...bytes: readonly number[]): Buffer {
  return Buffer.from([0x50, 0x4b, ...bytes]);
}
