import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/**
 * What V8 has compiled of the files of a bundle, from the runs of a program before: a file in the directory of Node's
 * compile cache. Node's own cache has of a file what is compiled when it is loaded, without the functions that are
 * called later: those were compiled again by every process, which took a tenth of a build's processor time.
 *
 * The file begins with the length of a header (4 bytes, little-endian) and the header, as JSON; the code of each file
 * follows. It is trusted as Node trusts its own: whoever can write there can have anything run.
 */
export class CompiledCode {
  readonly #directory: string;
  readonly #bundle: string;
  readonly #path: string;
  readonly #code = new Map<string, Uint8Array>();
  /** Of how many runs it is. */
  #runs = 0;

  /**
   * @param directory of Node's compile cache, which is of this version of Node, its flags and this user
   * @param bundle the name of the bundle, whose files never change
   */
  constructor(directory: string, bundle: string, program: string) {
    this.#directory = directory;
    this.#bundle = bundle;
    this.#path = join(directory, `${PREFIX}${bundle}-${program}`);
    this.#read();
  }

  /** Of a file, by its name; undefined if there is none. */
  of(file: string): Uint8Array | undefined {
    return this.#code.get(file);
  }

  /** Whether another run may add what no run before it has called. Few do, and to write it takes 30 ms. */
  get mayGrow(): boolean {
    return this.#runs < MOST_RUNS;
  }

  /** Keeps the code of files for the next run, beside that of files which this run has not loaded. */
  write(code: Iterable<readonly [file: string, code: Uint8Array]>): void {
    for (const [file, bytes] of code) this.#code.set(file, bytes);
    const header: Header = {
      runs: this.#runs + 1,
      files: [...this.#code].map(([file, { length }]) => [file, length]),
    };
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    const temporary = `${this.#path}.${process.pid}`;
    try {
      const file = openSync(temporary, 'w');
      try {
        writeSync(file, Buffer.concat([length, text, ...this.#code.values()]));
        // V8 does not look whether it is whole; after a crash of the machine it has to be.
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, this.#path);
      this.#removeOld();
    } catch {
      // Nothing is lost but time.
      rmSync(temporary, { force: true });
    }
  }

  #read(): void {
    try {
      const bytes = readFileSync(this.#path);
      let at = 4 + bytes.readUInt32LE(0);
      const { runs, files } = JSON.parse(bytes.toString('utf8', 4, at)) as Header;
      for (const [file, length] of files) {
        this.#code.set(file, bytes.subarray(at, at + length));
        at += length;
      }
      if (at !== bytes.length) throw new Error('it was cut short');
      this.#runs = runs;
    } catch {
      // There is none, or none that is whole.
      this.#code.clear();
    }
  }

  /** Of bundles that were replaced long ago; what is removed too early is made again. */
  #removeOld(): void {
    for (const name of readdirSync(this.#directory)) {
      if (!name.startsWith(PREFIX) || name.startsWith(PREFIX + this.#bundle)) continue;
      const path = join(this.#directory, name);
      if (Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path, { force: true });
    }
  }
}

interface Header {
  readonly runs: number;
  readonly files: readonly (readonly [file: string, length: number])[];
}

const PREFIX = 'lkt-';
const MOST_RUNS = 5;
const KEPT_MS = 7 * 24 * 3600 * 1000;
