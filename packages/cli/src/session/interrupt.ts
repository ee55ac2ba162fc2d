import { LktError } from '@lkt/core';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Returns a signal that the first Ctrl-C (or SIGTERM, SIGHUP) aborts, so that work ends in order.
 * The second one ends the process at once.
 */
export function abortOnInterrupt(onSecond: () => void): AbortSignal {
  const controller = new AbortController();
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (controller.signal.aborted) {
        onSecond();
        // Not process.exit: it waits for calls of the kernel, such as the open of a named pipe.
        process.removeAllListeners(name);
        process.kill(process.pid, name);
        return;
      }
      controller.abort(new LktError('INTERRUPTED', `stopped by ${name}`));
    });
  }
  return controller.signal;
}
