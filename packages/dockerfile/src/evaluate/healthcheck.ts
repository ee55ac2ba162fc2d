import type { HealthcheckInstruction } from '../parse/ast.ts';

/** Returns the `Healthcheck` object of an image config. */
export function healthcheck(instruction: HealthcheckInstruction): object {
  const { command, interval, timeout, startPeriod, startInterval, retries } = instruction;
  if (command === undefined) return { Test: ['NONE'] };
  return {
    Test: command.form === 'exec' ? ['CMD', ...command.argv] : ['CMD-SHELL', command.script],
    Interval: interval,
    Timeout: timeout,
    StartPeriod: startPeriod,
    StartInterval: startInterval,
    Retries: retries,
  };
}
