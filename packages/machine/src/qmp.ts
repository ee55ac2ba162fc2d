import type { Duplex } from 'node:stream';

/** What QEMU says about the end of a guest (QEMU's qapi/run-state.json, SHUTDOWN and GUEST_PANICKED). */
export interface QmpEvents {
  /** `guest-shutdown`, `guest-reset`, `guest-panic`, `host-qmp-quit`, `host-signal`, `host-ui`… */
  shutdown(reason: string): void;
}

/** The two things lkt says over QEMU's machine protocol: listen to how the guest ends, and end it. */
export interface Qmp {
  /** Asks QEMU to write out its disks and end. */
  quit(): void;
}

const LINE_LIMIT = 1024 * 1024;

/** Speaks QMP on a socket. A peer that is gone or talks nonsense is ignored: the process's end says the rest. */
export function openQmp(socket: Duplex, events: QmpEvents): Qmp {
  let pending = '';
  socket.setEncoding('utf8');
  socket.on('error', () => undefined);
  socket.on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    if (pending.length > LINE_LIMIT) socket.destroy();
    for (const line of lines) handle(line, events);
  });
  const say = (command: string): void => {
    if (socket.writable) socket.write(`${JSON.stringify({ execute: command })}\n`);
  };
  say('qmp_capabilities');
  return { quit: () => say('quit') };
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
