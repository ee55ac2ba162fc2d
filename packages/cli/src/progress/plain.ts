import type { ProgressEvent } from '@lkt/core';
import { amount, type Clock, type Display, duration, left, type Screen } from './display.ts';
import { counted } from '../output/lines.ts';
import type { LastDuration } from './durations.ts';
import {
  cachedLine,
  isOfSecondBuild,
  isPackage,
  labelOf,
  logLines,
  packageOf,
  type Step,
  Steps,
} from './steps.ts';

const PROGRESS_INTERVAL_MS = 5000;
/** A step that ends within this time is one line. */
const START_DELAY_MS = 200;
/** To find out that a package needs no build takes longer on a busy machine. */
const PACKAGE_START_DELAY_MS = 2000;
/** A running step is mentioned again after this time without a line: with a tick, 15 seconds. */
const HEARTBEAT_MS = 14_500;
const HEARTBEAT_TICK_MS = 500;
const MAX_LAST_LINE = 200;

/**
 * Returns a display that prints one line per change, prefixed with its step: for files, pipes and
 * CI. What is cached is one line at the end. A step without a line for 15 seconds says that it
 * runs, with its last line of output and the time that its package took before.
 * @param last see `LastDuration`
 */
export function plainDisplay(
  screen: Screen,
  clock: Clock,
  last: LastDuration = () => undefined,
): Display {
  const steps = new Steps(clock);
  const spoken = new Map<string, number>();
  /** Starts that are not printed yet. */
  const starting = new Map<string, Start>();
  /** Labels of steps whose start was printed, and whose end follows. */
  const announced = new Set<string>();
  const say = (text: string): unknown => screen.write(`${text}\n`);
  const takeStart = (id: string): Start | undefined => {
    const start = starting.get(id);
    clearTimeout(start?.timer);
    starting.delete(id);
    return start;
  };
  const sayStart = (start: Start | undefined): void => {
    if (start === undefined) return;
    if (start.parent !== undefined) sayStart(takeStart(start.parent.id));
    say(`${start.label}: ${start.title ?? 'started'}`);
    announced.add(start.label);
  };
  /** Records that a line reported a step, and thereby the package that it belongs to. */
  const touch = ({ id, parent }: Step): void => {
    spoken.set(id, clock());
    if (parent !== undefined) spoken.set(parent.id, clock());
  };
  const beat = (): void => {
    const { running } = steps;
    for (const step of running) {
      const isWaiting = running.some(({ parent }) => parent === step);
      if (isWaiting || clock() - (spoken.get(step.id) ?? step.started) < HEARTBEAT_MS) continue;
      touch(step);
      say(heartbeat(step, clock(), last));
    }
  };
  const beats = setInterval(beat, HEARTBEAT_TICK_MS).unref();
  let isClosed = false;
  return {
    emit(event: ProgressEvent): void {
      const step = steps.apply(event);
      if (event.kind === 'warning' || event.kind === 'total' || step === undefined) {
        if (event.kind === 'warning') say(`warning: ${logLines(event.text).join(' ')}`);
        return;
      }
      if (event.kind === 'log' && step.isQuiet) return;
      const fresh = step.isQuiet ? [] : step.fresh;
      if (event.kind === 'progress') {
        if (clock() - (spoken.get(step.id) ?? 0) < PROGRESS_INTERVAL_MS) return;
        sayStart(takeStart(step.id));
        touch(step);
        say(`${labelOf(step)}: ${amount(event.current, event.total, event.unit)}`);
        return;
      }
      const start = event.kind === 'start' ? undefined : takeStart(step.id);
      const isOneLine = event.kind === 'done' && fresh.length === 0;
      if (!isOneLine && (event.kind !== 'done' || !event.cached)) sayStart(start);
      for (const line of fresh) say(`${labelOf(step)}: | ${line}`);
      if (fresh.length > 0) touch(step);
      switch (event.kind) {
        case 'start':
          touch(step);
          starting.set(step.id, {
            label: labelOf(step),
            parent: step.parent,
            title: step.id.endsWith(step.title) ? undefined : step.title,
            timer: setTimeout(
              () => sayStart(takeStart(step.id)),
              isPackage(step) ? PACKAGE_START_DELAY_MS : START_DELAY_MS,
            ).unref(),
          });
          break;
        case 'log':
          break;
        case 'done':
          touch(step);
          spoken.delete(step.id);
          if (event.cached) {
            if (announced.has(labelOf(step))) say(`${labelOf(step)}: cached`);
          } else
            say(
              `${nameOf(step, isOneLine ? start : undefined)}: done ${duration(clock() - step.started)}${countsOf(step, steps)}`,
            );
          announced.delete(labelOf(step));
          break;
        case 'failed':
          say(`${labelOf(step)}: ${step.state} after ${duration(clock() - step.started)}`);
          break;
      }
    },
    close(): void {
      if (isClosed) return;
      isClosed = true;
      clearInterval(beats);
      for (const { timer } of starting.values()) clearTimeout(timer);
      const cached = cachedLine(steps);
      if (cached !== undefined) say(cached);
    },
  };
}

/** The start of a step. */
interface Start {
  readonly label: string;
  /** The package that the step belongs to. */
  readonly parent: Step | undefined;
  /** Undefined if the label says it. */
  readonly title: string | undefined;
  readonly timer: NodeJS.Timeout;
}

/** Returns the label of a step, with its title if its start was not printed. */
function nameOf(step: Step, start: Start | undefined): string {
  return start?.title === undefined ? labelOf(step) : `${labelOf(step)}: ${start.title}`;
}

/** Returns the line of a step that runs without output. */
function heartbeat(step: Step, now: number, last: LastDuration): string {
  const name = isOfSecondBuild(step) ? undefined : packageOf(step);
  const before = name === undefined ? undefined : last(name);
  const rest = (before ?? 0) - (now - (step.parent ?? step).started);
  const about = rest > 0 ? `about ${left(rest)}, ` : '';
  const took = before === undefined ? '' : `; ${about}${name} took ${duration(before)} last time`;
  const line = step.log.at(-1);
  const shown = line === undefined ? '' : ` | ${line.slice(0, MAX_LAST_LINE)}`;
  return `${labelOf(step)}: running for ${duration(now - step.started)}${took}${shown}`;
}

/** Returns the counts shown at the end of a package: its steps, and the packages so far. */
function countsOf(step: Step, { packages }: Steps): string {
  if (!isPackage(step)) return '';
  const cached = step.cached === 0 ? '' : `, ${step.cached} cached`;
  const parts = step.ended === 0 ? '' : `, ${counted(step.ended, 'step')}${cached}`;
  return packages.total > 1 ? `${parts} [${packages.ended}/${packages.total}]` : parts;
}
