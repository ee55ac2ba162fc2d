import { stripVTControlCharacters } from 'node:util';
import type { ProgressEvent } from '@lkt/core';
import type { Clock } from './display.ts';

/** A step as the events so far describe it. */
export interface Step {
  readonly id: string;
  readonly title: string;
  readonly started: number;
  /** The last lines of its log, without control characters. */
  readonly log: string[];
  state: 'running' | 'done' | 'cached' | 'failed';
  progress:
    | { readonly current: number; readonly total?: number; readonly unit: 'bytes' | 'items' }
    | undefined;
}

const LOG_LINES = 60;

/** Keeps the steps of a run up to date. Events about a step that never started are taken as its start. */
export class Steps {
  readonly #steps = new Map<string, Step>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The step an event is about, after the event; undefined for warnings. */
  apply(event: ProgressEvent): Step | undefined {
    if (event.kind === 'warning') return undefined;
    if (event.kind === 'start') return this.#begin(event.id, event.title);
    const step = this.#steps.get(event.id) ?? this.#begin(event.id, event.id);
    switch (event.kind) {
      case 'progress':
        step.progress = event;
        break;
      case 'log':
        step.log.push(...logLines(event.text));
        if (step.log.length > LOG_LINES) step.log.splice(0, step.log.length - LOG_LINES);
        break;
      case 'done':
        step.state = event.cached ? 'cached' : 'done';
        this.#steps.delete(event.id);
        break;
      case 'failed':
        step.state = 'failed';
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

  #begin(id: string, title: string): Step {
    const step: Step = {
      id,
      title: logLines(title).join(' '),
      started: this.#clock(),
      log: [],
      state: 'running',
      progress: undefined,
    };
    this.#steps.set(id, step);
    return step;
  }
}

/** Lines fit for a terminal: what builds print is not trusted to move the cursor. A `\r` starts the line anew. */
export function logLines(text: string): readonly string[] {
  return stripVTControlCharacters(text)
    .split('\n')
    .map((line) => (line.replace(/\r+$/, '').split('\r').at(-1) ?? '').replaceAll('\t', '  '))
    .map((line) => line.replaceAll(/\p{Cc}/gu, ''))
    .filter((line, index, lines) => line !== '' || index < lines.length - 1);
}

/** How a failing step is shown after the run: its last lines, marked. */
export function failureLog(step: Step): string {
  const lines = step.log.map((line) => `  | ${line}\n`).join('');
  return lines === '' ? '' : `${step.title} failed, after saying:\n${lines}`;
}
