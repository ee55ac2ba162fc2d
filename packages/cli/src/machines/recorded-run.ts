import { join } from 'node:path';
import { LktError } from '@lkt/core';
import type {
  MachineOptions,
  MachineRecord,
  MachineRecords,
  MachineResult,
  OpenRecord,
} from '@lkt/machine';
import { runtimeDir } from '../session/environment.ts';
import type { Session } from '../session/session.ts';

/** Opens the records of the user's running machines. */
export async function machineRecords({ environment }: Session): Promise<MachineRecords> {
  const { MachineRecords: Records } = await import('@lkt/machine');
  return new Records(join(runtimeDir(environment), 'machines'));
}

/**
 * Runs a machine with a record for `lkt ssh` and `lkt logs`. Without a writable directory for it,
 * warns and runs the machine nevertheless.
 * @param onRecord called before the machine starts
 */
export async function runRecorded(
  session: Session,
  machine: Pick<MachineRecord, 'name' | 'services'>,
  options: MachineOptions,
  onRecord: (record: MachineRecord, ended: AbortSignal) => void = () => undefined,
): Promise<MachineResult> {
  const { runMachine } = await import('@lkt/machine');
  const records = await machineRecords(session);
  const ended = new AbortController();
  let open: OpenRecord | undefined;
  try {
    return await runMachine({
      ...options,
      onStart: async (started) => {
        open = await records
          .create({ ...machine, ports: started.publish })
          .catch((error: unknown) => warnUnrecorded(session, error));
        await options.onStart?.(started);
        if (open !== undefined) onRecord(open.record, ended.signal);
      },
      onOutput: (chunk) => {
        open?.log.write(chunk);
        options.onOutput?.(chunk);
      },
    });
  } finally {
    ended.abort();
    await open?.[Symbol.asyncDispose]();
  }
}

function warnUnrecorded({ reporter }: Session, error: unknown): undefined {
  if (!(error instanceof LktError) || error.code !== 'IO_FAILED') throw error;
  const text = `lkt ssh and lkt logs do not find this machine: ${error.message}`;
  reporter.emit({ kind: 'warning', text });
  return undefined;
}
