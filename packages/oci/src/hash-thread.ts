import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { type Digest, Digester } from '@lkt/core';

/** Shorter content is hashed sooner than a thread hears of it. */
const WORTH = 4 * 2 ** 20;

/** Hashes what is written to it piece by piece. One in memory that threads share must stay as it is until its `update` is done. */
export interface PieceDigester extends Disposable {
  /** Bytes written so far. */
  readonly size: number;
  update(data: Uint8Array): Promise<void>;
  /** Ends it. */
  digest(): Promise<Digest>;
}

/**
 * Hashes content of so many bytes, or about so many, if it is long on a thread of its own: whoever brings it then need
 * not wait for the hash of what came before.
 */
export async function pieceDigester(size: number | undefined): Promise<PieceDigester> {
  if (size === undefined || size < WORTH || MOST < 2) return new Here();
  const [idlest] = threads.toSorted((one, other) => one.hashes - other.hashes);
  const slot =
    idlest === undefined || (idlest.hashes > 0 && threads.length < MOST) ? add() : idlest;
  slot.hashes += 1;
  const started = await slot.thread;
  return started === undefined ? new Here() : new There(started, slot);
}

/** Where the processor has no instructions for it, SHA-256 takes as long as all else that a pull does. */
const MOST = Math.min(availableParallelism(), 4);

/** A thread, and how many hashes it has to do. */
interface Slot {
  readonly thread: Promise<HashThread | undefined>;
  hashes: number;
}

/** Those of the process, each from when it is first of use. */
const threads: Slot[] = [];

function add(): Slot {
  const slot = { thread: HashThread.start(), hashes: 0 };
  threads.push(slot);
  return slot;
}

class Here implements PieceDigester {
  readonly #digester = new Digester();

  get size(): number {
    return this.#digester.size;
  }

  async update(data: Uint8Array): Promise<void> {
    this.#digester.update(data);
  }

  async digest(): Promise<Digest> {
    return this.#digester.digest();
  }

  [Symbol.dispose](): void {}
}

class There implements PieceDigester {
  readonly #thread: HashThread;
  readonly #slot: Slot;
  readonly #id: number;
  #size = 0;
  #hasEnded = false;
  #copy = shared(0);

  constructor(started: HashThread, slot: Slot) {
    this.#thread = started;
    this.#slot = slot;
    this.#id = started.open();
  }

  get size(): number {
    return this.#size;
  }

  async update(data: Uint8Array): Promise<void> {
    this.#size += data.length;
    await this.#thread.ask({ id: this.#id, bytes: this.#shared(data) });
  }

  async digest(): Promise<Digest> {
    this.#hasEnded = true;
    return `sha256:${await this.#thread.ask({ id: this.#id })}` as Digest;
  }

  [Symbol.dispose](): void {
    this.#slot.hashes -= 1;
    if (!this.#hasEnded) this.#thread.forget(this.#id);
  }

  /** What both threads can see as it is, else a copy. */
  #shared(data: Uint8Array): Uint8Array {
    if (data.buffer instanceof SharedArrayBuffer) return data;
    if (this.#copy.length < data.length) this.#copy = shared(data.length);
    this.#copy.set(data);
    return this.#copy.subarray(0, data.length);
  }
}

function shared(length: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/** Of one hash: more bytes for it, its end without any, or that nobody wants it any more. */
interface Question {
  readonly id: number;
  readonly bytes?: Uint8Array;
  readonly isForgotten?: true;
}

interface Answer {
  readonly id: number;
  /** In hexadecimal; empty but at the end. */
  readonly hash: string;
}

class HashThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<string>>();
  #last = 0;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', ({ id, hash }: Answer) => this.#answered(id)?.resolve(hash));
    worker.on('error', (error) => {
      for (const id of this.#waiting.keys()) this.#answered(id)?.reject(error);
    });
  }

  /** Undefined where there can be no thread. */
  static async start(): Promise<HashThread | undefined> {
    const source = `(${String(hashPieces)})()`;
    const limits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 };
    // Most processes need none.
    const workers = process.getBuiltinModule('node:worker_threads');
    try {
      const worker = new workers.Worker(source, {
        eval: true,
        execArgv: [],
        resourceLimits: limits,
      });
      await new Promise<void>((resolve, reject) => {
        worker.once('online', resolve);
        worker.once('error', reject);
      });
      worker.unref();
      return new HashThread(worker);
    } catch {
      return undefined;
    }
  }

  open(): number {
    this.#last += 1;
    return this.#last;
  }

  /** One at a time for each hash. */
  async ask(question: Question): Promise<string> {
    const waiting = Promise.withResolvers<string>();
    if (this.#waiting.size === 0) this.#worker.ref();
    this.#waiting.set(question.id, waiting);
    this.#worker.postMessage(question);
    return waiting.promise;
  }

  forget(id: number): void {
    this.#worker.postMessage({ id, isForgotten: true } satisfies Question);
  }

  #answered(id: number): PromiseWithResolvers<string> | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    return waiting;
  }
}

/** What the thread does. Its source is all that the thread gets: it sees nothing of this file. */
function hashPieces(): void {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  const hashes = new Map<number, ReturnType<typeof createHash>>();
  parentPort?.on('message', ({ id, bytes, isForgotten }: Question) => {
    const hash = hashes.get(id) ?? createHash('sha256');
    if (bytes !== undefined) hashes.set(id, hash.update(bytes));
    else hashes.delete(id);
    if (isForgotten !== true)
      parentPort?.postMessage({ id, hash: bytes === undefined ? hash.digest('hex') : '' });
  });
}
