import type { HealthcheckInstruction } from '../parse/ast.ts';

/** A HEALTHCHECK as the config of an image has it. */
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
