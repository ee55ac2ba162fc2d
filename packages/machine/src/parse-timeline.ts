import { readJson } from '@lkt/core';
import { MAX_NAME_CHARS, MAX_STEPS, type Timeline, type TimelineStep } from './timeline.ts';

const MAX_SECONDS = 1e6;

/**
 * Parses a timeline that `lkt run --timeline` wrote.
 * @param what its name in errors
 * @throws LktError CONFIG_INVALID
 */
export function parseTimeline(bytes: Uint8Array, what: string): Timeline {
  return readJson(bytes, timelineFrom, {
    code: 'CONFIG_INVALID',
    what: `${what} is not a timeline of lkt run`,
  });
}

function timelineFrom(value: unknown): Timeline {
  const { version, end, firmware, steps, more } = recordOf(value);
  if (version !== 1) throw new Error('its version is not 1');
  if (end !== 'complete' && end !== 'failures' && end !== 'none')
    throw new Error('"end" is not one of complete, failures and none');
  if (!Array.isArray(steps) || steps.length > MAX_STEPS)
    throw new Error(`"steps" is not a list of at most ${MAX_STEPS}`);
  return {
    version,
    end,
    firmware: secondsOf(firmware, 'firmware'),
    steps: (steps as unknown[]).map(stepFrom),
    ...(more === true ? { more } : {}),
  };
}

function stepFrom(value: unknown): TimelineStep {
  const { name, start, end, failed } = recordOf(value);
  if (typeof name !== 'string' || name.length > MAX_NAME_CHARS)
    throw new Error('a step has no name');
  const step = { name, start: secondsOf(start, 'start'), end: secondsOf(end, 'end') };
  if (step.start > step.end) throw new Error(`the step ${name} ends before its start`);
  return failed === true ? { ...step, failed } : step;
}

function secondsOf(value: unknown, name: string): number {
  if (typeof value === 'number' && value >= 0 && value < MAX_SECONDS) return value;
  throw new Error(`"${name}" is not a number of seconds`);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw new Error('an object is missing');
}
