import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { ProgressEvent, Reporter } from '@lkt/core';
import type { Clock } from './display.ts';
import { isOfSecondBuild, isPackage, packageOf, type Step, Steps } from './steps.ts';

/**
 * Milliseconds that a package took when it was built last, without its second build; undefined if
 * that is not known.
 */
export type LastDuration = (name: string) => number | undefined;

/** Faster builds need no estimate. */
const MIN_MS = 5000;
const MAX_ENTRIES = 500;
const MAX_FILE_BYTES = 2 ** 20;

/** The durations of the last builds of packages, in a file of the store. */
export class Durations {
  readonly #path: string;
  #known: ReadonlyMap<string, number> | undefined;
  readonly #new = new Map<string, number>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads the file on the first call. */
  readonly last: LastDuration = (name) => (this.#known ??= this.#read()).get(name);

  /** Returns a reporter that forwards events, and measures the packages that are built. */
  measure(next: Reporter, clock: Clock): Reporter {
    const steps = new Steps(clock);
    /** The ends of the builds that a second one follows, which may wait for its turn. */
    const ends = new Map<Step, { readonly own: number; readonly isChecked: boolean }>();
    return {
      emit: (event: ProgressEvent): void => {
        next.emit(event);
        if (event.kind === 'log' || event.kind === 'progress') return;
        const step = steps.apply(event);
        if (event.kind !== 'done' || step === undefined) return;
        const { parent } = step;
        if (parent !== undefined) {
          const { own = parent.started, isChecked = false } = ends.get(parent) ?? {};
          const isSecond = isOfSecondBuild(step);
          ends.set(parent, {
            own: isSecond ? own : clock(),
            isChecked: isChecked || isSecond,
          });
        }
        if (!isPackage(step) || event.cached) return;
        const { own = 0, isChecked = false } = ends.get(step) ?? {};
        ends.delete(step);
        const took = (isChecked ? own : clock()) - step.started;
        if (took >= MIN_MS) this.#new.set(packageOf(step) ?? '', Math.round(took));
      },
    };
  }

  /** Writes the new durations. A store that cannot be written keeps the old ones. */
  save(): void {
    if (this.#new.size === 0) return;
    // Another process may have written meanwhile.
    const known = this.#read();
    for (const name of this.#new.keys()) known.delete(name);
    const all = [...known, ...this.#new].slice(-MAX_ENTRIES);
    const temporary = `${this.#path}.${process.pid}`;
    try {
      writeFileSync(temporary, `${JSON.stringify(all)}\n`, { flag: 'wx' });
      renameSync(temporary, this.#path);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      rmSync(temporary, { force: true });
    }
  }

  /** Anything that is not a list of names and numbers counts as missing. */
  #read(): Map<string, number> {
    const found = new Map<string, number>();
    try {
      const bytes = readFileSync(this.#path);
      if (bytes.length > MAX_FILE_BYTES) return found;
      const list: unknown = JSON.parse(bytes.toString());
      for (const entry of Array.isArray(list) ? (list as unknown[]) : []) {
        const [name, duration] = Array.isArray(entry) ? (entry as unknown[]) : [];
        if (typeof name === 'string' && typeof duration === 'number' && duration > 0)
          found.set(name, duration);
      }
    } catch (error) {
      const isKnown = error instanceof SyntaxError || (error instanceof Error && 'code' in error);
      if (!isKnown) throw error;
    }
    return found;
  }
}
