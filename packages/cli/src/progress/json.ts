import type { ProgressEvent } from '@lkt/core';
import { printableJson } from '../output/printable.ts';
import type { Clock, Display, Screen } from './display.ts';

/**
 * Returns a display that prints one JSON object per line: the event, and the seconds since the
 * start.
 */
export function jsonDisplay(screen: Screen, clock: Clock): Display {
  const start = clock();
  return {
    emit(event: ProgressEvent): void {
      const seconds = Math.round(clock() - start) / 1000;
      screen.write(`${printableJson({ seconds, ...event })}\n`);
    },
    close: () => undefined,
  };
}
