import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

/** Lets one of the system calls of a command that write below a directory fail. */
export class IoFault {
  readonly #library: string;
  readonly #counter: string;
  readonly #below: string;

  /**
   * @param directory where the library is compiled
   * @param below the directory
   */
  constructor(directory: string, below: string) {
    this.#library = join(directory, 'io-fault.so');
    this.#counter = join(directory, 'io-fault.count');
    this.#below = below;
    const source = join(import.meta.dirname, 'io-fault.c');
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-o', this.#library, source]);
  }

  /** Returns the environment in which the call with the number `at`, from 1, fails. */
  environment(at: number, error: 'EIO' | 'ENOSPC'): Readonly<Record<string, string>> {
    writeFileSync(this.#counter, Buffer.alloc(8));
    return {
      LD_PRELOAD: this.#library,
      FAULT_COUNTER: this.#counter,
      FAULT_BELOW: this.#below,
      FAULT_AT: String(at),
      FAULT_ERRNO: String(constants.errno[error]),
    };
  }

  /** The number of calls since `environment`. */
  get calls(): number {
    return Number(readFileSync(this.#counter).readBigUInt64LE());
  }
}
