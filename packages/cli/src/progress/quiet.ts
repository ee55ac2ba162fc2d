import type { ProgressEvent } from '@lkt/core';
import type { Display, Screen } from './display.ts';
import { failureLog, Steps } from './steps.ts';

/** Returns a display that prints only the log of a failed step. */
export function quietDisplay(screen: Screen): Display {
  const steps = new Steps(() => 0);
  return {
    emit(event: ProgressEvent): void {
      steps.apply(event);
    },
    close(failed: boolean): void {
      if (failed) for (const step of steps.failed) screen.write(failureLog(step));
    },
  };
}
