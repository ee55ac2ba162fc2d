import type { ProgressEvent } from '@lkt/core';
import { amount, type Clock, type Display, duration, type Screen } from './display.ts';
import { isPackage, labelOf, logLines, type Step, Steps } from './steps.ts';

const PROGRESS_INTERVAL_MS = 5000;
/** A step that ends within this time is one line. */
const START_DELAY_MS = 200;

/**
 * Returns a display that prints one line per change, prefixed with its step: for files, pipes and
 * CI.
 */
export function plainDisplay(screen: Screen, clock: Clock): Display {
  const steps = new Steps(clock);
  const spoken = new Map<string, number>();
  /** Starts that are not printed yet. */
  const starting = new Map<string, Start>();
  const say = (text: string): unknown => screen.write(`${text}\n`);
  const takeStart = (id: string): Start | undefined => {
    const start = starting.get(id);
    clearTimeout(start?.timer);
    starting.delete(id);
    return start;
  };
  const sayStart = (start: Start | undefined): void => {
    if (start !== undefined) say(`${start.label}: ${start.title ?? 'started'}`);
  };
  return {
    emit(event: ProgressEvent): void {
      const step = steps.apply(event);
      if (event.kind === 'warning' || event.kind === 'total' || step === undefined) {
        if (event.kind === 'warning') say(`warning: ${logLines(event.text).join(' ')}`);
        return;
      }
      const start = event.kind === 'start' ? undefined : takeStart(step.id);
      const isOneLine = event.kind === 'done' && step.fresh.length === 0;
      if (!isOneLine && (event.kind !== 'done' || !event.cached)) sayStart(start);
      for (const line of step.fresh) say(`${labelOf(step)}: | ${line}`);
      switch (event.kind) {
        case 'start':
          spoken.set(step.id, clock());
          starting.set(step.id, {
            label: labelOf(step),
            title: step.id.endsWith(step.title) ? undefined : step.title,
            timer: setTimeout(() => sayStart(takeStart(step.id)), START_DELAY_MS).unref(),
          });
          break;
        case 'progress':
          if (clock() - (spoken.get(step.id) ?? 0) < PROGRESS_INTERVAL_MS) break;
          spoken.set(step.id, clock());
          say(`${labelOf(step)}: ${amount(event.current, event.total, event.unit)}`);
          break;
        case 'log':
          break;
        case 'done':
          say(
            event.cached
              ? `${labelOf(step)}: cached${countsOf(step, steps)}`
              : `${nameOf(step, isOneLine ? start : undefined)}: done ${duration(clock() - step.started)}${countsOf(step, steps)}`,
          );
          break;
        case 'failed':
          say(`${labelOf(step)}: ${step.state} after ${duration(clock() - step.started)}`);
          break;
      }
    },
    close(): void {
      for (const { timer } of starting.values()) clearTimeout(timer);
    },
  };
}

/** The start of a step. */
interface Start {
  readonly label: string;
  /** Undefined if the label says it. */
  readonly title: string | undefined;
  readonly timer: NodeJS.Timeout;
}

/** Returns the label of a step, with its title if its start was not printed. */
function nameOf(step: Step, start: Start | undefined): string {
  return start?.title === undefined ? labelOf(step) : `${labelOf(step)}: ${start.title}`;
}

/** Returns the counts shown at the end of a package: its steps, and the packages so far. */
function countsOf(step: Step, { packages }: Steps): string {
  if (!isPackage(step)) return '';
  const cached = step.cached === 0 ? '' : `, ${step.cached} cached`;
  const parts = step.ended === 0 ? '' : `, ${step.ended} steps${cached}`;
  return packages.total > 1 ? `${parts} [${packages.ended}/${packages.total}]` : parts;
}
