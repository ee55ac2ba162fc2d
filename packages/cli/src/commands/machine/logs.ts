import { LktError } from '@lkt/core';
import type { MachineRecord } from '@lkt/machine';
import { LktCommand } from '../../command.ts';
import { Args, switchFlag } from '../../flags/options.ts';
import { findService } from '../../machines/find-machine.ts';
import { machineRecords } from '../../machines/recorded-run.ts';
import { ServiceLines } from '../../machines/service-lines.ts';

interface Result {
  readonly machine: string;
  readonly lines: readonly string[];
}

export class Logs extends LktCommand {
  static override summary = 'Print the console of a running machine';
  static override description = `Prints the last 4 to 8 MiB of the console of a machine that "lkt run" or "lkt dev" started. One word is the name of a machine, or else a service of the only one that runs.

With SERVICE, prints what PID 1 reports about the service, and its log if the console has that: with lkt.logs.console=all on the kernel command line, else only after a failure (docs/logs.md).`;
  static override examples = [
    '<%= config.bin %> logs',
    '<%= config.bin %> logs my-os hello --follow',
  ];
  static override args = {
    machine: Args.string({ description: 'the machine; default: the only one that runs' }),
    service: Args.string({ description: 'print only the lines of this service' }),
  };
  static override flags = {
    follow: switchFlag('print new lines until the machine or Ctrl-C ends it', { char: 'f' }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Logs);
    if (flags.follow && this.jsonEnabled())
      throw new LktError('USAGE_INVALID', '--follow and --json exclude each other');
    const session = await this.begin(flags);
    const machines = await (await machineRecords(session)).list();
    const { machine, service } = findService(machines, args.machine, args.service, 'lkt logs');
    requireService(machine, service);
    this.endProgress();
    const { followConsoleLog, readConsoleLog, stateOf } = await import('@lkt/machine');
    const lines: string[] = [];
    const reader = new ServiceLines(service, (line) => {
      if (this.jsonEnabled()) lines.push(line);
      else this.log(line);
    });
    if (flags.follow) {
      const runs = (): boolean => stateOf(machine.process) === 'running';
      for await (const chunk of followConsoleLog(machine.dir, runs, session.signal))
        reader.push(chunk);
    } else reader.push(await readConsoleLog(machine.dir));
    reader.end();
    const missing = service === undefined ? undefined : missingLog(machine, service, reader);
    if (missing !== undefined) session.reporter.emit({ kind: 'warning', text: missing });
    return { machine: machine.name, lines };
  }
}

/** Returns a warning about a service without log on the console. */
function missingLog(
  { name, services }: MachineRecord,
  service: string,
  { hasLog, names }: ServiceLines,
): string | undefined {
  if (hasLog) return undefined;
  // The services of an image built earlier are known only from its console.
  if (services?.includes(service) !== true && !names.has(service) && !OWN_LOG.test(service)) {
    const others = [...names].slice(0, MAX_LISTED).join(', ');
    return `the console of ${name} shows no service ${service}; it shows ${others || 'none'}`;
  }
  return `the console has no log of ${service}; add lkt.logs.console=all to the kernel command line, or run: lkt ssh ${name} -- lkt-logs ${service}`;
}

const MAX_LISTED = 20;
/** The logs of the daemons. */
const OWN_LOG = /^(?:init|containerd|lkt-logs)$/;

/** @throws LktError NOT_FOUND if the machine is known not to have the service */
function requireService({ name, services }: MachineRecord, service: string | undefined): void {
  if (service === undefined || services === undefined || services.includes(service)) return;
  if (/^(?:onboot|onshutdown)\./.test(service) || OWN_LOG.test(service)) return;
  throw new LktError('NOT_FOUND', `the machine ${name} has no service ${service}`, {
    detail: `  its services: ${services.join(', ') || 'none'}`,
    fix: `name one of them: lkt logs ${name} ${services[0] ?? 'SERVICE'}`,
  });
}
