import { type ProgressEvent, SECOND_BUILD } from '@lkt/core';
import { counted } from '../output/lines.ts';
import { printable } from '../output/printable.ts';
import type { Clock } from './display.ts';

/** A step, in the state after the events so far. */
export interface Step {
  readonly id: string;
  readonly title: string;
  readonly started: number;
  /** A display of lines does not print its output. */
  readonly isQuiet: boolean;
  /** The step that contains it, if known. */
  readonly parent: Step | undefined;
  /** The number of its parts that have ended. */
  ended: number;
  cached: number;
  /** The number of log lines so far. */
  lines: number;
  /** The last lines of its log, without control characters. */
  readonly log: string[];
  /** The lines that the last event completed. */
  fresh: readonly string[];
  /** The incomplete last line. */
  partial: string;
  state: 'running' | 'done' | 'cached' | 'failed' | 'stopped';
  progress:
    | { readonly current: number; readonly total?: number; readonly unit: 'bytes' | 'items' }
    | undefined;
}

const LOG_LINES = 200;
/** Longer lines are cut. */
const LINE_LENGTH = 8192;

/** The steps of a run. An event of an unknown step counts as its start. */
export class Steps {
  readonly #steps = new Map<string, Step>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The number of packages, of those that have ended, and of those that needed no build. */
  packages = { total: 0, ended: 0, cached: 0 };
  readonly #built = new Set<string>();
  readonly #unneeded = new Set<string>();
  /** The number of cached steps that belong to no package. */
  outside = 0;
  /** The number of steps that have ended, without packages. */
  ended = 0;
  cached = 0;

  /** Applies an event, and returns its step; undefined for an event without a step. */
  apply(event: ProgressEvent): Step | undefined {
    if (event.kind === 'warning') return undefined;
    if (event.kind === 'total') {
      this.packages = { ...this.packages, total: event.packages, ended: 0 };
      return undefined;
    }
    if (event.kind === 'start') return this.#begin(event.id, event.title, event.quiet);
    const step = this.#steps.get(event.id) ?? this.#begin(event.id, event.id);
    step.fresh = [];
    switch (event.kind) {
      case 'progress':
        step.progress = event;
        break;
      case 'log':
        addLog(step, event.text);
        break;
      case 'done':
        addLog(step, '\n');
        step.state = event.cached ? 'cached' : 'done';
        this.#steps.delete(event.id);
        this.#count(step);
        break;
      case 'failed':
        addLog(step, '\n');
        step.state = event.stopped === true ? 'stopped' : 'failed';
        break;
    }
    return step;
  }

  get running(): readonly Step[] {
    return [...this.#steps.values()].filter(({ state }) => state === 'running');
  }

  get failed(): readonly Step[] {
    return [...this.#steps.values()].filter(({ state }) => state === 'failed');
  }

  #count(step: Step): void {
    const isCached = step.state === 'cached';
    if (isPackage(step)) {
      this.packages.ended += 1;
      // A package may be reported again after it was built.
      if (!isCached) this.#built.add(step.id);
      else if (!this.#built.has(step.id)) this.#unneeded.add(step.id);
      this.packages.cached = this.#unneeded.size;
      return;
    }
    this.ended += 1;
    if (isCached) this.cached += 1;
    if (step.parent === undefined) {
      if (isCached) this.outside += 1;
      return;
    }
    step.parent.ended += 1;
    if (isCached) step.parent.cached += 1;
  }

  /** Package names, and step ids below them, may contain colons. */
  #packageOf(id: string): Step | undefined {
    for (let colon = id.indexOf(':'); colon !== -1; colon = id.indexOf(':', colon + 1)) {
      const found = this.#steps.get(`${PACKAGE}${id.slice(0, colon)}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #begin(id: string, title: string, isQuiet = false): Step {
    const step: Step = {
      id,
      title: logLines(title).join(' '),
      started: this.#clock(),
      isQuiet,
      parent: this.#packageOf(id),
      ended: 0,
      cached: 0,
      lines: 0,
      log: [],
      fresh: [],
      partial: '',
      state: 'running',
      progress: undefined,
    };
    this.#steps.set(id, step);
    return step;
  }
}

function addLog(step: Step, text: string): void {
  const all = step.partial + text;
  const end = all.length > LINE_LENGTH ? all.length : all.lastIndexOf('\n') + 1;
  step.partial = all.slice(end);
  step.fresh = end === 0 ? [] : logLines(all.slice(0, end));
  step.lines += step.fresh.length;
  step.log.push(...step.fresh);
  if (step.log.length > LOG_LINES) step.log.splice(0, step.log.length - LOG_LINES);
}

/** Returns the non-empty lines, safe for a terminal. */
export function logLines(text: string): readonly string[] {
  return printable(text)
    .split('\n')
    .filter((line) => line !== '');
}

/** Begins the ids of packages' steps. */
export const PACKAGE = 'package ';

export function isPackage({ id }: Step): boolean {
  return id.startsWith(PACKAGE);
}

/** Returns the label of a step at the start of a line: its id; for a package, its name. */
export function labelOf(step: Step): string {
  return printable(isPackage(step) ? step.id.slice(PACKAGE.length) : step.id);
}

/** Returns the name of the package that a step is or belongs to. */
export function packageOf(step: Step): string | undefined {
  const item = step.parent ?? step;
  return isPackage(item) ? item.id.slice(PACKAGE.length) : undefined;
}

/** Reports whether a step belongs to the second build of a package. */
export function isOfSecondBuild({ id }: Step): boolean {
  return id.includes(`${SECOND_BUILD}:`);
}

/**
 * Returns a line with the number of cached packages, and of cached steps outside packages;
 * undefined without any.
 */
export function cachedLine({ packages, outside }: Steps): string | undefined {
  const counts = [
    ...(packages.cached === 0 ? [] : [counted(packages.cached, 'package')]),
    ...(outside === 0 ? [] : [counted(outside, 'step')]),
  ];
  return counts.length === 0 ? undefined : `cached: ${counts.join(', ')}`;
}

/** Formats the log of a failed step after the run: its last lines, marked. */
export function failureLog(step: Step): string {
  const lines = step.log.map((line) => `  | ${line}\n`).join('');
  return lines === '' ? '' : `${step.title} failed; the end of its output:\n${lines}`;
}
