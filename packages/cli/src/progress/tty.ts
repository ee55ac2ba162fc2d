import { styleText } from 'node:util';
import type { ProgressEvent } from '@lkt/core';
import { amount, type Clock, type Display, duration, type Screen } from './display.ts';
import { failureLog, logLines, type Step, Steps } from './steps.ts';

const REDRAW_MS = 100;
const TICK_MS = 500;
const LOG_LINES = 4;
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

/**
 * What runs is redrawn at the bottom, with the last lines of its log; what has ended stands above and scrolls away.
 *
 * Draws at most ten times a second. `process.exit` must not be the end without `close`, which shows the cursor again.
 */
export function ttyDisplay(screen: Screen, clock: Clock): Display {
  const steps = new Steps(clock);
  let ended = '';
  let drawnLines = 0;
  let lastDraw = -REDRAW_MS;
  let pending: NodeJS.Timeout | undefined;
  let closed = false;

  const width = (): number => Math.max(20, columnsOf(screen) - 1);
  const clear = (): string => (drawnLines === 0 ? '' : `\u001b[${drawnLines}A\r\u001b[J`);
  const draw = (): void => {
    if (pending !== undefined) clearTimeout(pending);
    pending = undefined;
    lastDraw = clock();
    const room = Math.max(1, (screen.rows ?? 24) - 2);
    const lines = live(steps.running, clock(), width(), room);
    if (lines.length + drawnLines === 0 && ended === '') return;
    const block = lines.map((line) => `${line}\n`).join('');
    screen.write(`${clear()}${ended}${lines.length > 0 ? HIDE_CURSOR : SHOW_CURSOR}${block}`);
    ended = '';
    drawnLines = lines.length;
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
        ended += `${mark} ${logLines(event.text).join(' ')}\n`;
      } else if (step !== undefined && step.state !== 'running') {
        ended += `${finished(step, clock(), width())}\n`;
      }
      soon();
    },
    close(failed: boolean): void {
      if (closed) return;
      closed = true;
      clearInterval(tick);
      if (pending !== undefined) clearTimeout(pending);
      const logs = failed ? steps.failed.map(failureLog).join('') : '';
      const text = `${clear()}${ended}${drawnLines > 0 ? SHOW_CURSOR : ''}${logs}`;
      if (text !== '') screen.write(text);
      drawnLines = 0;
    },
  };
}

/** A terminal that does not know its width says 0. */
function columnsOf({ columns = 0 }: Screen): number {
  return columns === 0 ? 80 : columns;
}

/** The lines for what is running, at most `room`: first the logs give way, then the oldest steps. */
function live(
  running: readonly Step[],
  now: number,
  width: number,
  room: number,
): readonly string[] {
  const perStep = Math.max(
    0,
    Math.min(LOG_LINES, Math.floor(room / Math.max(1, running.length)) - 1),
  );
  return running
    .flatMap((step) => [
      row(step.title, progressOf(step), duration(now - step.started), width),
      ...(perStep === 0 ? [] : step.log.slice(-perStep)).map((line) =>
        styleText('dim', cut(`    ${line}`, width), { stream: process.stderr }),
      ),
    ])
    .slice(-room);
}

function progressOf({ progress }: Step): string {
  return progress === undefined ? '' : amount(progress.current, progress.total, progress.unit);
}

function finished(step: Step, now: number, width: number): string {
  if (step.state === 'cached') return row(step.title, 'cached', '', width);
  const time = duration(now - step.started);
  if (step.state === 'done') return row(step.title, '', time, width);
  return styleText('red', row(step.title, 'failed', time, width), { stream: process.stderr });
}

/** `  title      middle   time`, the title cut to what the others leave. */
function row(title: string, middle: string, time: string, width: number): string {
  const right = `${middle.padEnd(8)} ${time.padStart(7)}`;
  const space = Math.max(8, width - right.length - 3);
  return `  ${cut(title, space).padEnd(space)} ${right}`.trimEnd();
}

function cut(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}
