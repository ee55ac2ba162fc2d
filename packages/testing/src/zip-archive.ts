import { crc32 } from 'node:zlib';

/**
 * Returns a zip archive of stored files, from texts by name (APPNOTE.TXT 6.3, sections 4.3.7,
 * 4.3.12, 4.3.16).
 */
export function zipOf(texts: Readonly<Record<string, string>>): Buffer {
  const files: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(texts)) {
    const content = Buffer.from(text);
    const path = Buffer.from(name);
    // Of both headers: version, flags, method, time, date, CRC, sizes, lengths of name and extra.
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt32LE(crc32(content), 10);
    fields.writeUInt32LE(content.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(path.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([signature(1, 2), fields.subarray(0, 2), fields, place, path]));
    const file = Buffer.concat([signature(3, 4), fields, path, content]);
    files.push(file);
    offset += file.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...files, directory, signature(5, 6), end]);
}

function signature(...bytes: readonly number[]): Buffer {
  return Buffer.from([0x50, 0x4b, ...bytes]);
}
