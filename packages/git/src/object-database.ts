import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { type GitObject, objectId, type ObjectType } from './objects.ts';

/** Maximum size of one object; commits and trees are far smaller. */
const MAX_OBJECT_BYTES = 16 * 1024 * 1024;

/** Maximum length of a chain of deltas; git packs at most 4095. */
const MAX_DELTA_DEPTH = 4095;

/**
 * Reads objects, loose or packed, from a repository's `objects` directory without git. Ignores
 * other storage such as alternates. Verifies the content by its id, which is SHA-1.
 * @see https://git-scm.com/docs/gitformat-pack
 */
export class ObjectDatabase {
  readonly #dir: string;
  #packs: readonly Pack[] | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Returns an object; undefined if it is not found or does not match its id.
   * @throws Error for a damaged repository
   */
  read(id: string): GitObject | undefined {
    const found = this.#loose(id) ?? this.#packed(id);
    if (found === undefined) return undefined;
    const { type, content } = found;
    return objectId('sha1', type, content) === id ? found : undefined;
  }

  #loose(id: string): GitObject | undefined {
    let stored: Buffer;
    try {
      stored = readFileSync(join(this.#dir, id.slice(0, 2), id.slice(2)));
    } catch {
      return undefined;
    }
    const data = inflateSync(stored, { maxOutputLength: MAX_OBJECT_BYTES });
    const end = data.indexOf(0);
    const [type = ''] = data.toString('latin1', 0, Math.max(end, 0)).split(' ');
    return { type: type as ObjectType, content: data.subarray(end + 1) };
  }

  #packed(id: string, depth = 0): GitObject | undefined {
    this.#packs ??= readdirSync(join(this.#dir, 'pack'))
      .filter((name) => name.endsWith('.idx'))
      .map((name) => new Pack(join(this.#dir, 'pack', name.slice(0, -'.idx'.length))));
    for (const pack of this.#packs) {
      const offset = pack.find(Buffer.from(id, 'hex'));
      if (offset === undefined) continue;
      return pack.read(
        offset,
        depth,
        (base, below) => this.#loose(base) ?? this.#packed(base, below),
      );
    }
    return undefined;
  }
}

const TYPES: ReadonlyMap<number, ObjectType> = new Map([
  [1, 'commit'],
  [2, 'tree'],
  [3, 'blob'],
  [4, 'tag'],
]);
const OFS_DELTA = 6;
const REF_DELTA = 7;

/** A pack and its index, of version 2. Opens its files for each lookup: there are few. */
class Pack {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Returns the offset of an object in the pack. */
  find(id: Buffer): number | undefined {
    using index = new OpenFile(`${this.#path}.idx`);
    const head = index.at(0, 8 + 4 * 256);
    if (head.readUInt32BE(0) !== 0xff744f63 || head.readUInt32BE(4) !== 2) return undefined;
    const upTo = (byte: number): number => (byte < 0 ? 0 : head.readUInt32BE(8 + 4 * byte));
    const first = id[0] ?? 0;
    const from = upTo(first - 1);
    const names = index.at(8 + 4 * 256 + 20 * from, 20 * (upTo(first) - from));
    for (let at = 0; at < names.length; at += 20) {
      if (id.compare(names, at, at + 20) !== 0) continue;
      // The ids are followed by as many checksums, then the offsets.
      const position = from + at / 20;
      const offset = index.at(8 + 4 * 256 + 24 * upTo(255) + 4 * position, 4).readUInt32BE(0);
      // The pack is larger than 2 GiB.
      return offset >= 0x8000_0000 ? undefined : offset;
    }
    return undefined;
  }

  read(
    offset: number,
    depth: number,
    readById: (id: string, depth: number) => GitObject | undefined,
  ): GitObject | undefined {
    using pack = new OpenFile(`${this.#path}.pack`);
    const head = pack.at(offset, 64);
    let at = 0;
    const byte = (): number => head.readUInt8(at++);
    let next = byte();
    const kind = (next >> 4) & 7;
    let size = next & 15;
    for (let scale = 16; next >= 128; scale *= 128) {
      next = byte();
      size += (next & 127) * scale;
    }
    if (size > MAX_OBJECT_BYTES || depth > MAX_DELTA_DEPTH) return undefined;
    let base: GitObject | undefined;
    if (kind === OFS_DELTA) {
      next = byte();
      let back = next & 127;
      while (next >= 128) {
        next = byte();
        back = (back + 1) * 128 + (next & 127);
      }
      if (back <= 0 || back > offset) return undefined;
      base = this.read(offset - back, depth + 1, readById);
    } else if (kind === REF_DELTA) {
      base = readById(head.toString('hex', at, at + 20), depth + 1);
      at += 20;
    }
    // Deflated data is never much longer than its content.
    const stored = pack.at(offset + at, size + (size >> 8) + 64);
    const data = inflateSync(stored, { maxOutputLength: MAX_OBJECT_BYTES });
    const type = TYPES.get(kind);
    if (type !== undefined) return { type, content: data };
    return base && { type: base.type, content: applyDelta(base.content, data) };
  }
}

/**
 * Returns the object that a delta makes from its base.
 * @see https://git-scm.com/docs/gitformat-pack#_deltified_representation
 */
function applyDelta(base: Buffer, delta: Buffer): Buffer {
  let at = 0;
  const byte = (): number => delta.readUInt8(at++);
  const number = (): number => {
    let value = 0;
    for (let scale = 1, more = true; more; scale *= 128) {
      const next = byte();
      value += (next & 127) * scale;
      more = next >= 128;
    }
    return value;
  };
  if (number() !== base.length) throw new RangeError('the delta has another base size');
  const size = number();
  const parts: Buffer[] = [];
  while (at < delta.length) {
    const command = byte();
    if (command < 128) {
      parts.push(delta.subarray(at, at + command));
      at += command;
      continue;
    }
    let from = 0;
    let length = 0;
    for (let bit = 0; bit < 4; bit += 1)
      if ((command & (1 << bit)) !== 0) from += byte() * 256 ** bit;
    for (let bit = 0; bit < 3; bit += 1)
      if ((command & (16 << bit)) !== 0) length += byte() * 256 ** bit;
    parts.push(base.subarray(from, from + (length === 0 ? 0x10000 : length)));
  }
  const made = Buffer.concat(parts);
  if (made.length !== size) throw new RangeError('the delta has another result size');
  return made;
}

/** A file with random access. */
class OpenFile implements Disposable {
  readonly #fd: number;
  readonly #size: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.#size = fstatSync(this.#fd).size;
  }

  /** Returns up to `length` bytes, fewer at the end of the file. */
  at(offset: number, length: number): Buffer {
    const buffer = Buffer.alloc(Math.max(0, Math.min(length, this.#size - offset)));
    return buffer.subarray(0, readSync(this.#fd, buffer, 0, buffer.length, offset));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
