import { once } from 'node:events';
import { LktError } from '@lkt/core';
import { algorithmOf, type GitObject, objectHash, type ObjectType } from '../objects.ts';
import type { BareRepository } from './bare-repository.ts';

type ObjectHead = Readonly<{ type: ObjectType; size: number }>;

/** Maximum size of an object that is kept in memory. */
const MAX_OBJECT_BYTES = 64 * 2 ** 20;

/**
 * Reads objects of a repository through `git cat-file --batch`, one after the other. Verifies the
 * hash of every object, so that the result does not depend on git's checks.
 */
export class CatFile implements AsyncDisposable {
  readonly #child: ReturnType<BareRepository['start']>;
  readonly #exited: Promise<void>;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(repository: BareRepository) {
    const args = ['cat-file', '--batch'];
    this.#child = repository.start(args);
    this.#exited = repository.exited(this.#child, args);
    // `#more` awaits it when the output ends.
    this.#exited.catch(() => undefined);
    this.#chunks = this.#child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /**
   * Returns an object; undefined if it does not exist.
   * @throws IMAGE_INVALID for an object over 64 MiB
   * @throws DIGEST_MISMATCH if the content does not match the id
   */
  async read(id: string): Promise<GitObject | undefined> {
    const head = await this.#request(id);
    if (head === undefined) return undefined;
    if (head.size > MAX_OBJECT_BYTES)
      throw new LktError('IMAGE_INVALID', `the git object ${id} has more than 64 MiB`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#content(id, head)) chunks.push(chunk);
    return { type: head.type, content: Buffer.concat(chunks) };
  }

  /**
   * Opens a blob; undefined if it does not exist. Read the content to its end before the next
   * request.
   * @throws DIGEST_MISMATCH if the object is not a blob; while reading, if the content does not
   * match
   */
  async open(
    id: string,
  ): Promise<{ size: number; content: AsyncIterable<Uint8Array> } | undefined> {
    const head = await this.#request(id);
    if (head === undefined) return undefined;
    if (head.type !== 'blob') throw objectError(id, `is a ${head.type}, not a file`);
    return { size: head.size, content: this.#content(id, head) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    this.#child.stdout.destroy();
    await this.#exited.catch(() => undefined);
  }

  async #request(id: string): Promise<ObjectHead | undefined> {
    if (!this.#child.stdin.write(`${id}\n`)) await once(this.#child.stdin, 'drain');
    const line = await this.#line();
    const [, type, size] = /^[0-9a-f]+ (blob|commit|tag|tree) (\d+)$/.exec(line) ?? [];
    if (type === undefined || size === undefined) {
      if (line.endsWith(' missing')) return undefined;
      throw objectError(id, 'cannot be read');
    }
    return { type: type as ObjectType, size: Number(size) };
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end !== -1) {
        const line = this.#rest.subarray(0, end).toString('latin1');
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      this.#rest = Buffer.concat([this.#rest, await this.#more()]);
    }
  }

  async *#content(id: string, { type, size }: ObjectHead): AsyncGenerator<Uint8Array> {
    const hash = objectHash(algorithmOf(id), type, size);
    let left = size;
    while (left > 0) {
      if (this.#rest.length === 0) this.#rest = await this.#more();
      const chunk = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(chunk.length);
      left -= chunk.length;
      hash.update(chunk);
      yield chunk;
    }
    // A line feed ends each response.
    await this.#line();
    if (hash.digest('hex') !== id) throw objectError(id, 'does not match its id');
  }

  async #more(): Promise<Buffer> {
    const { value, done } = await this.#chunks.next();
    if (done !== true) return value;
    await this.#exited;
    throw new LktError('GIT_FAILED', 'git cat-file exited early');
  }
}

function objectError(id: string, what: string): LktError {
  return new LktError('DIGEST_MISMATCH', `the git object ${id} ${what}`);
}
