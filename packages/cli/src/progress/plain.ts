import type { ProgressEvent } from '@lkt/core';
import { amount, type Clock, type Display, duration, type Screen } from './display.ts';
import { logLines, Steps } from './steps.ts';

const PROGRESS_INTERVAL_MS = 5000;

/** One line for every change, each beginning with its step: for files, pipes and CI. */
export function plainDisplay(screen: Screen, clock: Clock): Display {
  const steps = new Steps(clock);
  const spoken = new Map<string, number>();
  const say = (text: string): unknown => screen.write(`${text}\n`);
  return {
    emit(event: ProgressEvent): void {
      const step = steps.apply(event);
      if (event.kind === 'warning' || step === undefined) {
        if (event.kind === 'warning') say(`warning: ${logLines(event.text).join(' ')}`);
        return;
      }
      switch (event.kind) {
        case 'start':
          spoken.set(step.id, clock());
          say(`${step.id}: ${step.id.endsWith(step.title) ? 'started' : step.title}`);
          break;
        case 'progress':
          if (clock() - (spoken.get(step.id) ?? 0) < PROGRESS_INTERVAL_MS) break;
          spoken.set(step.id, clock());
          say(`${step.id}: ${amount(event.current, event.total, event.unit)}`);
          break;
        case 'log':
          for (const line of logLines(event.text)) say(`${step.id}: | ${line}`);
          break;
        case 'done':
          say(
            `${step.id}: ${event.cached ? 'cached' : `done ${duration(clock() - step.started)}`}`,
          );
          break;
        case 'failed':
          say(`${step.id}: failed after ${duration(clock() - step.started)}`);
          break;
      }
    },
    close: () => undefined,
  };
}
