import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ProgressEvent, Reporter } from '@lkt/core';
import { Steps } from './steps.ts';

/** The log of a failed step. */
export interface KeptLog {
  readonly title: string;
  /** The last lines, at most `LOG_LINES`, safe for a terminal. */
  readonly lines: readonly string[];
  readonly count: number;
  /** The file with the whole log; undefined if it could not be written. */
  readonly path: string | undefined;
}

/** Maximum number of log files to keep. */
const KEPT_FILES = 50;
/** Maximum bytes of a log file. */
const MAX_FILE = 64 * 2 ** 20;

/**
 * Forwards events, and writes the log of each step to a file, which is kept if the step fails.
 * Continues without a file if it cannot be written.
 */
export class KeptLogs implements Reporter {
  readonly #dir: string;
  readonly #stamp: string;
  readonly #next: Reporter;
  readonly #steps = new Steps(() => 0);
  readonly #files = new Map<
    string,
    { readonly path: string; readonly file: number; size: number }
  >();
  #failed: KeptLog | undefined;
  /** Whether a warning was reported. */
  hasWarned = false;

  /**
   * @param dir created when a step writes its first line
   * @param stamp prefix of the file names, which sorts by time
   */
  constructor(dir: string, stamp: string, next: Reporter) {
    this.#dir = dir;
    this.#stamp = stamp;
    this.#next = next;
  }

  /** The first failed step with output: its failure stopped the others. */
  get failed(): KeptLog | undefined {
    return this.#failed;
  }

  emit(event: ProgressEvent): void {
    this.#next.emit(event);
    if (event.kind === 'warning') this.hasWarned = true;
    const step = this.#steps.apply(event);
    if (step === undefined) return;
    if (step.fresh.length > 0) this.#write(step.id, step.fresh);
    if (step.state !== 'running' && step.state !== 'failed') this.#end(step.id, false);
    if (step.state !== 'failed') return;
    const path = this.#end(step.id, this.#failed === undefined);
    if (step.lines === 0) return;
    this.#failed ??= { title: step.title, lines: [...step.log], count: step.lines, path };
  }

  /** Removes the files of steps that neither ended nor failed. */
  close(): void {
    for (const id of this.#files.keys()) this.#end(id, false);
  }

  #write(id: string, lines: readonly string[]): void {
    try {
      let open = this.#files.get(id);
      if (open === undefined) {
        // Its parent is the store.
        if (!existsSync(this.#dir)) mkdirSync(this.#dir);
        this.#prune();
        const name = `${this.#stamp}-${id.replaceAll(/[^A-Za-z0-9_-]+/g, '-').slice(0, 80)}.log`;
        const path = join(this.#dir, name);
        open = { path, file: openSync(path, 'wx', 0o600), size: 0 };
        this.#files.set(id, open);
      }
      if (open.size > MAX_FILE) return;
      open.size += writeSync(open.file, `${lines.join('\n')}\n`);
      if (open.size > MAX_FILE) writeSync(open.file, 'the rest was not kept\n');
    } catch (error) {
      // A read-only store or a full disk.
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }

  #end(id: string, keep: boolean): string | undefined {
    const open = this.#files.get(id);
    if (open === undefined) return undefined;
    this.#files.delete(id);
    closeSync(open.file);
    if (keep) return open.path;
    rmSync(open.path, { force: true });
    return undefined;
  }

  #prune(): void {
    const names = readdirSync(this.#dir).filter((name) => name.endsWith('.log'));
    for (const name of names.toSorted().slice(0, -KEPT_FILES))
      rmSync(join(this.#dir, name), { force: true });
  }
}

/** Formats the log of a failed step. */
export function describeLog({ lines, count, path }: KeptLog): string {
  const left = count - lines.length;
  const head = left > 0 ? [`(${left} lines before that)`] : [];
  const tail = path === undefined ? [] : [`(all ${count} lines: ${path})`];
  return [...head, ...lines, ...tail].map((line) => `  | ${line}`).join('\n');
}
