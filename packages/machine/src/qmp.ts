import type { Duplex } from 'node:stream';

/** QEMU's events about the end of a guest (qapi/run-state.json, SHUTDOWN and GUEST_PANICKED). */
export interface QmpEvents {
  /** `guest-shutdown`, `guest-reset`, `guest-panic`, `host-qmp-quit`, `host-signal`, `host-ui`… */
  shutdown(reason: string): void;
}

/** A connection by the QEMU machine protocol. */
export interface Qmp {
  /** Asks QEMU to flush its disks and exit. */
  quit(): void;
  /** Presses the power button of the guest. */
  powerDown(): void;
}

const MAX_LINE_CHARS = 1024 * 1024;

/**
 * Opens QMP on a socket. Ignores protocol errors and a closed peer: the exit of the process reports
 * the result.
 */
export function openQmp(socket: Duplex, events: QmpEvents): Qmp {
  let pending = '';
  socket.setEncoding('utf8');
  socket.on('error', () => undefined);
  socket.on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    if (pending.length > MAX_LINE_CHARS) socket.destroy();
    for (const line of lines) handle(line, events);
  });
  const say = (command: string): void => {
    if (socket.writable) socket.write(`${JSON.stringify({ execute: command })}\n`);
  };
  say('qmp_capabilities');
  return { quit: () => say('quit'), powerDown: () => say('system_powerdown') };
}

function handle(line: string, events: QmpEvents): void {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return;
    throw error;
  }
  if (typeof message !== 'object' || message === null || !('event' in message)) return;
  if (message.event !== 'SHUTDOWN' || !('data' in message)) return;
  const { data } = message;
  if (typeof data === 'object' && data !== null && 'reason' in data)
    events.shutdown(String(data.reason));
}
