import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgressEvent, Reporter } from '@lkt/core';
import { Steps } from './steps.ts';

/** What a failing step said. */
export interface KeptLog {
  readonly title: string;
  /** The last lines, `LOG_LINES` at most, fit for a terminal. */
  readonly lines: readonly string[];
  readonly count: number;
  /** The file with all of it; undefined where none could be written. */
  readonly path: string | undefined;
}

/** The logs of so many failures stay. */
const KEPT_FILES = 50;
/** What a step says beyond that is not kept. */
const MAX_FILE = 64 * 2 ** 20;

/**
 * Passes events on, and writes what each step says to a file, which stays if the step fails. A file that cannot be
 * written is done without: a log is no reason to stop.
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
   * @param dir made when a step says something
   * @param stamp start of the names of files, which sorts by time
   */
  constructor(dir: string, stamp: string, next: Reporter) {
    this.#dir = dir;
    this.#stamp = stamp;
    this.#next = next;
  }

  /** The first step that failed, of those that said something: the others were stopped because of it. */
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
        mkdirSync(this.#dir, { recursive: true });
        this.#prune();
        const name = `${this.#stamp}-${id.replaceAll(/[^A-Za-z0-9_-]+/g, '-').slice(0, 80)}.log`;
        const path = join(this.#dir, name);
        open = { path, file: openSync(path, 'wx', 0o600), size: 0 };
        this.#files.set(id, open);
      }
      if (open.size > MAX_FILE) return;
      open.size += writeSync(open.file, `${lines.join('\n')}\n`);
      if (open.size > MAX_FILE) writeSync(open.file, 'what follows was not kept\n');
    } catch (error) {
      // A store that is read-only, a full disk.
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

/** How the log of a failing step is shown. */
export function describeLog({ lines, count, path }: KeptLog): string {
  const left = count - lines.length;
  const head = left > 0 ? [`(${left} lines before that)`] : [];
  const tail = path === undefined ? [] : [`(all ${count} lines: ${path})`];
  return [...head, ...lines, ...tail].map((line) => `  | ${line}`).join('\n');
}
