import type { ProgressEvent } from '@lkt/core';
import { amount, type Clock, type Display, duration, type Screen } from './display.ts';
import { isPackage, labelOf, logLines, type Step, Steps } from './steps.ts';

const PROGRESS_INTERVAL_MS = 5000;
/** A step that turns out to be cached within this time is one line. */
const START_DELAY_MS = 200;

/**
 * Returns a display that prints one line per change, prefixed with its step: for files, pipes and
 * CI.
 */
export function plainDisplay(screen: Screen, clock: Clock): Display {
  const steps = new Steps(clock);
  const spoken = new Map<string, number>();
  const starting = new Map<string, { readonly line: string; readonly timer: NodeJS.Timeout }>();
  const say = (text: string): unknown => screen.write(`${text}\n`);
  const sayStart = (id: string, aloud: boolean): void => {
    const start = starting.get(id);
    if (start === undefined) return;
    clearTimeout(start.timer);
    starting.delete(id);
    if (aloud) say(start.line);
  };
  return {
    emit(event: ProgressEvent): void {
      const step = steps.apply(event);
      if (event.kind === 'warning' || event.kind === 'total' || step === undefined) {
        if (event.kind === 'warning') say(`warning: ${logLines(event.text).join(' ')}`);
        return;
      }
      if (event.kind !== 'start') sayStart(step.id, event.kind !== 'done' || !event.cached);
      for (const line of step.fresh) say(`${labelOf(step)}: | ${line}`);
      switch (event.kind) {
        case 'start':
          spoken.set(step.id, clock());
          starting.set(step.id, {
            line: `${labelOf(step)}: ${step.id.endsWith(step.title) ? 'started' : step.title}`,
            timer: setTimeout(() => sayStart(step.id, true), START_DELAY_MS).unref(),
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
            `${labelOf(step)}: ${event.cached ? 'cached' : `done ${duration(clock() - step.started)}`}${countsOf(step, steps)}`,
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

/** Returns the counts shown at the end of a package: its steps, and the packages so far. */
function countsOf(step: Step, { packages }: Steps): string {
  if (!isPackage(step)) return '';
  const cached = step.cached === 0 ? '' : `, ${step.cached} cached`;
  const parts = step.ended === 0 ? '' : `, ${step.ended} steps${cached}`;
  return packages.total > 1 ? `${parts} [${packages.ended}/${packages.total}]` : parts;
}
