import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ioError, isErrno } from '@lkt/core';

/** Returns a key of 64 hex digits. Called when a sealed file is first read or written. */
export type KeySource = () => string;

/** Bump when the meaning of sealed files changes. */
const VERSION = 'lkt sealed file 1';
/** Of the end of a sealed file. */
const LABEL = ' hmac-sha256:';
const END_BYTES = LABEL.length + 64;

/** The key of stores that were opened without one: it ends with the process. */
let processKey: string | undefined;

/**
 * Reads and writes the small files in which a store keeps what was derived: records of segments, of
 * steps and of results. Each ends with an HMAC-SHA-256 (RFC 2104) over its path in the store and
 * its text. A user who can write to the store, but does not have its key, can neither make nor move
 * such a file. One without the right seal counts as missing.
 *
 * Large content is not sealed itself: a sealed file has its digest.
 */
export class SealedFiles {
  /** Directory of the store. */
  readonly dir: string;
  readonly #source: KeySource;
  readonly #ignored: readonly string[];
  /** Names that this instance sealed. */
  readonly #own = new Set<string>();
  #key: string | undefined;

  /**
   * @param key default: a key of this process
   * @param ignored directories of the store whose existing files count as missing
   */
  constructor(dir: string, key?: KeySource, ignored: readonly string[] = []) {
    this.dir = dir;
    this.#source = key ?? ((): string => (processKey ??= randomBytes(32).toString('hex')));
    this.#ignored = ignored.map((name) => join(name, '/'));
  }

  get key(): string {
    return (this.#key ??= this.#source());
  }

  /** Returns the content of a sealed file with this text. */
  seal(path: string, text: string): string {
    const name = this.#name(path);
    this.#own.add(name);
    return `${text}${LABEL}${this.#mac(name, Buffer.from(text)).toString('hex')}`;
  }

  /**
   * Returns the text of a sealed file; undefined if it is missing, has no valid seal, or is in an
   * ignored directory. Synchronous, because a thread takes ten times as long for so few bytes.
   * @throws IO_FAILED
   */
  read(path: string): string | undefined {
    const name = this.#name(path);
    const isIgnored = this.#ignored.some((dir) => name.startsWith(dir)) && !this.#own.has(name);
    return isIgnored ? undefined : this.readIgnored(path);
  }

  /** As `read`, also in ignored directories. */
  readIgnored(path: string): string | undefined {
    try {
      return this.#unseal(this.#name(path), readFileSync(path));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw ioError(`cannot read ${path}`, error);
    }
  }

  #unseal(name: string, content: Buffer): string | undefined {
    const size = content.length - END_BYTES;
    if (size < 0) return undefined;
    const text = content.subarray(0, size);
    const end = Buffer.from(`${LABEL}${this.#mac(name, text).toString('hex')}`);
    return timingSafeEqual(content.subarray(size), end) ? text.toString() : undefined;
  }

  #mac(name: string, text: Uint8Array): Buffer {
    return createHmac('sha256', this.key).update(`${VERSION}\0${name}\0`).update(text).digest();
  }

  /** Returns the path in the store. */
  #name(path: string): string {
    return relative(this.dir, path);
  }
}

/** Returns the text of a sealed file's content without checking the seal. */
export function withoutSeal(content: string): string {
  const end = content.length - END_BYTES;
  return content.startsWith(LABEL, end) ? content.slice(0, end) : content;
}
