import { printableJson } from '../output/printable.ts';
import type { ProgressMode } from '../session/environment.ts';
import type { Clock, Display, Screen } from './display.ts';
import type { LastDuration } from './durations.ts';
import { plainDisplay } from './plain.ts';
import { failureLog, Steps } from './steps.ts';
import { ttyDisplay } from './tty.ts';

/** @param last the durations of earlier builds, for estimates */
export function openDisplay(
  mode: Exclude<ProgressMode, 'auto'>,
  screen: Screen,
  clock: Clock,
  last?: LastDuration,
): Display {
  const open = { tty: ttyDisplay, plain: plainDisplay, json: jsonDisplay, quiet: quietDisplay };
  return open[mode](screen, clock, last);
}

/** Prints one JSON object per line: the event, and the seconds since the start. */
function jsonDisplay(screen: Screen, clock: Clock): Display {
  const start = clock();
  return {
    emit: (event) => {
      const seconds = Math.round(clock() - start) / 1000;
      screen.write(`${printableJson({ seconds, ...event })}\n`);
    },
    close: () => undefined,
  };
}

/** Prints only the log of a failed step. */
function quietDisplay(screen: Screen, clock: Clock): Display {
  const steps = new Steps(clock);
  return {
    emit: (event) => void steps.apply(event),
    close: (failed) => {
      if (failed) for (const step of steps.failed) screen.write(failureLog(step));
    },
  };
}
