import { styleText } from 'node:util';
import type { ProgressEvent } from '@lkt/core';
import { amount, type Clock, type Display, duration, left, type Screen } from './display.ts';
import { counted } from '../output/lines.ts';
import type { LastDuration } from './durations.ts';
import {
  cachedLine,
  failureLog,
  isPackage,
  logLines,
  packageOf,
  type Step,
  Steps,
} from './steps.ts';
import { cut, fit, widthOf } from './width.ts';

const REDRAW_MS = 100;
const TICK_MS = 500;
const LOG_LINES = 4;
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const ERASE_LINE = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

/**
 * Returns a display that redraws the running steps at the bottom: the overall progress, then each
 * package with its steps and the last lines of their logs. Ended steps scroll away above it; what
 * is cached is one line at the end. In a wide terminal, amounts have a bar and the time left, or a
 * spinner.
 *
 * Draws at most ten times a second, over the previous drawing. Call `close` before `process.exit`:
 * it shows the cursor again.
 * @param last see `LastDuration`
 */
export function ttyDisplay(
  screen: Screen,
  clock: Clock,
  last: LastDuration = () => undefined,
): Display {
  const steps = new Steps(clock);
  const start = clock();
  let ended: string[] = [];
  let drawn: readonly Line[] = [];
  let lastDraw = -REDRAW_MS;
  let pending: NodeJS.Timeout | undefined;
  let closed = false;

  const width = (): number => Math.max(20, columnsOf(screen) - 1);
  const back = (): string => {
    // A terminal that became narrower has wrapped the lines.
    const columns = columnsOf(screen);
    const rows = drawn.reduce((sum, { text }) => sum + rowsOf(text, columns), 0);
    return rows === 0 ? '' : `\u001b[${rows}A\r`;
  };
  const draw = (): void => {
    if (pending !== undefined) clearTimeout(pending);
    pending = undefined;
    lastDraw = clock();
    const room = Math.max(1, (screen.rows ?? 24) - 2);
    const lines = live(steps, { now: clock(), start, width: width(), room, last });
    if (lines.length + drawn.length === 0 && ended.length === 0) return;
    const text = [...ended, ...lines.map(styled)].map((line) => `${line}${ERASE_LINE}\n`).join('');
    const cursor = lines.length > 0 ? HIDE_CURSOR : SHOW_CURSOR;
    screen.write(`${back()}${cursor}${text}${ERASE_BELOW}`);
    ended = [];
    drawn = lines;
  };
  const soon = (): void => {
    if (closed) return;
    if (clock() - lastDraw >= REDRAW_MS) draw();
    else pending ??= setTimeout(draw, REDRAW_MS).unref();
  };
  const tick = setInterval(soon, TICK_MS).unref();

  return {
    emit(event: ProgressEvent): void {
      const step = steps.apply(event);
      if (event.kind === 'warning') {
        const mark = styleText('yellow', 'warning:', { stream: process.stderr });
        ended.push(`${mark} ${logLines(event.text).join(' ')}`);
      } else if (step !== undefined && step.state !== 'running') {
        const line = finished(step, clock(), width());
        if (line !== undefined) ended.push(styled(line));
      }
      soon();
    },
    close(failed: boolean): void {
      if (closed) return;
      closed = true;
      clearInterval(tick);
      if (pending !== undefined) clearTimeout(pending);
      const cached = cachedLine(steps);
      if (cached !== undefined) ended.push(`  ${cached}`);
      const lines = ended.map((line) => `${line}${ERASE_LINE}\n`).join('');
      const below = drawn.length > 0 ? `${ERASE_BELOW}${SHOW_CURSOR}` : '';
      const logs = failed ? steps.failed.map(failureLog).join('') : '';
      const text = `${back()}${lines}${below}${logs}`;
      if (text !== '') screen.write(text);
      drawn = [];
    },
  };
}

/** The moment and the place of a drawing. */
interface Frame {
  readonly now: number;
  /** When the run started. */
  readonly start: number;
  readonly width: number;
  /** Number of lines. */
  readonly room: number;
  readonly last: LastDuration;
}

interface Line {
  readonly text: string;
  readonly style?: 'dim' | 'red' | 'bold';
}

function styled({ text, style }: Line): string {
  return style === undefined ? text : styleText(style, text, { stream: process.stderr });
}

/** A terminal of unknown width reports 0. */
function columnsOf({ columns = 0 }: Screen): number {
  return columns === 0 ? 80 : columns;
}

function rowsOf(text: string, columns: number): number {
  return Math.max(1, Math.ceil(widthOf(text) / columns));
}

/**
 * Returns the lines of running steps, at most `room`: drops log lines first, then the steps that
 * started last.
 */
function live(steps: Steps, { now, start, width, room, last }: Frame): readonly Line[] {
  const tree = treeOf(steps.running);
  if (tree.length === 0) return [];
  const { packages, ended, cached } = steps;
  const done = ended === 0 ? '' : `, ${counted(ended, 'step')}, ${cached} cached`;
  const elapsed = now - start;
  const header: readonly Line[] =
    packages.total > 1
      ? [
          {
            text: row(
              `${packages.ended}/${packages.total} packages${done}`,
              0,
              width < WIDE ? '' : bar(packages.ended / packages.total),
              duration(elapsed),
              width,
            ),
            style: 'bold',
          },
        ]
      : [];
  const space = room - header.length;
  const shown = tree.length > space ? tree.slice(0, Math.max(0, space - 1)) : tree;
  const perStep = Math.max(
    0,
    Math.min(LOG_LINES, Math.floor(space / Math.max(1, shown.length)) - 1),
  );
  const lines = shown.flatMap(({ step, depth }): Line[] => [
    {
      text: row(
        step.title,
        depth,
        progressOf(step, now, width, last),
        duration(now - step.started),
        width,
      ),
    },
    ...(perStep === 0 ? [] : step.log.slice(-perStep)).map((line): Line => ({
      text: cut(`${'  '.repeat(depth + 2)}${line}`, width),
      style: 'dim',
    })),
  ]);
  const hidden = tree.length - shown.length;
  const more: readonly Line[] = hidden === 0 ? [] : [{ text: `  and ${hidden} more` }];
  return [...header, ...lines, ...more];
}

/** Returns the steps in the order of their start, each followed by its parts. */
function treeOf(
  running: readonly Step[],
): readonly { readonly step: Step; readonly depth: number }[] {
  const isPart = (step: Step): boolean =>
    step.parent !== undefined && running.includes(step.parent);
  return running
    .filter((step) => !isPart(step))
    .flatMap((step) => [
      { step, depth: 0 },
      ...running.filter(({ parent }) => parent === step).map((part) => ({ step: part, depth: 1 })),
    ]);
}

/** Columns from which on there is room for bars and estimates. */
const WIDE = 79;
const BAR = 12;
/** An estimate from less time jumps. */
const MIN_ESTIMATE_MS = 1000;

/** Turns where no bar can grow. */
const SPINNER = '|/-\\';

/**
 * Returns the amount of a step, with a bar and the time left; for a package, its time left. Without
 * an estimate a spinner turns.
 */
function progressOf(step: Step, now: number, width: number, last: LastDuration): string {
  const { progress } = step;
  const elapsed = now - step.started;
  if (progress === undefined) {
    const expected = width < WIDE || !isPackage(step) ? undefined : last(packageOf(step) ?? '');
    if (expected === undefined || expected <= elapsed) return width < WIDE ? '' : spinner(elapsed);
    return `${bar(elapsed / expected)} ${left(expected - elapsed)}`;
  }
  const { current, total, unit } = progress;
  const shown = amount(current, total, unit);
  if (width < WIDE) return shown;
  if (total === undefined || total <= 0) return `${spinner(elapsed)} ${shown}`;
  const share = Math.min(1, current / total);
  const time =
    share === 0 || share === 1 || elapsed < MIN_ESTIMATE_MS
      ? ''
      : `, ${left((elapsed * (1 - share)) / share)}`;
  return `${bar(share)} ${shown}${time}`;
}

function spinner(elapsed: number): string {
  return SPINNER.charAt(Math.floor(elapsed / TICK_MS) % SPINNER.length);
}

/** @param share from 0 to 1; a package may be counted twice */
function bar(share: number): string {
  return `[${'#'.repeat(Math.round(Math.min(1, share) * BAR)).padEnd(BAR, '.')}]`;
}

/** Returns the line of an ended step; undefined for a cached one. */
function finished(step: Step, now: number, width: number): Line | undefined {
  const title = step.parent === undefined ? step.title : `${step.parent.title} ${step.title}`;
  if (step.state === 'cached') return undefined;
  const time = duration(now - step.started);
  if (step.state === 'stopped') return { text: row(title, 0, 'stopped', time, width) };
  if (step.state === 'failed') return { text: row(title, 0, 'failed', time, width), style: 'red' };
  return { text: row(title, 0, isPackage(step) ? 'built' : '', time, width) };
}

/** Returns `  title      middle   time`, with the title cut to the remaining width. */
function row(title: string, depth: number, middle: string, time: string, width: number): string {
  const right = `${middle.padEnd(8)} ${time.padStart(7)}`;
  const space = Math.max(8, width - right.length - 3);
  return `  ${fit('  '.repeat(depth) + title, space)} ${right}`.trimEnd();
}
