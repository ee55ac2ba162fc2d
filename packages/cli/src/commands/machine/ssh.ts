import { setTimeout as sleep } from 'node:timers/promises';
import { LktError, reportStep } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { optionalArgs, valueFlag } from '../../flags/options.ts';
import { timeLimitOf } from '../../flags/durations.ts';
import { findMachine } from '../../machines/find-machine.ts';
import { machineRecords } from '../../machines/recorded-run.ts';
import { hostKeyArguments, runSsh, sshPort } from '../../machines/ssh.ts';

/** A wait of less time is not worth a line. */
const UNREPORTED_MS = 2000;

interface Result {
  readonly machine: string;
  readonly port: number;
  /** Exit status of ssh. */
  readonly status: number;
}

export class Ssh extends LktCommand {
  static override summary = 'Log in to a running machine';
  static override description = `Runs the system's ssh with the port, the user and the host key of a machine that "lkt run" or "lkt dev" started. Waits for its ssh server. Without COMMAND, opens a shell.

The host key is the one that the console announced, with lkt.logs.console=all on the kernel command line; else that of the first login.

Exits with the status of COMMAND, or 255 if ssh fails.`;
  static override examples = [
    '<%= config.bin %> ssh',
    '<%= config.bin %> ssh my-os -- lkt-logs -n 20 sshd',
  ];
  static override args = {
    machine: optionalArgs('the machine, by default the only one that runs; then -- COMMAND'),
  };
  static override flags = {
    user: valueFlag('NAME', 'user of the machine', { char: 'l', default: 'root' }),
    identity: valueFlag('FILE', 'private key; default: those of ssh', { char: 'i' }),
    wait: valueFlag('DURATION', 'time to wait for the ssh server', { default: '60s' }),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Ssh);
    const command = this.wordsAfterDashes;
    const words = args.machine ?? [];
    const [name, extra] = words.slice(0, words.length - command.length);
    if (extra !== undefined)
      throw new LktError(
        'USAGE_INVALID',
        `"${extra}" is not expected after the name of the machine`,
        {
          fix: `write -- before a command: lkt ssh ${name} -- ${extra}`,
        },
      );
    const waitMs = timeLimitOf('--wait', flags.wait);
    if (!/^[A-Za-z_][\w.-]*$/.test(flags.user))
      throw new LktError('USAGE_INVALID', `--user: "${flags.user}" is not the name of a user`);
    const session = await this.begin(flags);
    const machines = await (await machineRecords(session)).list();
    const machine = findMachine(machines, name, 'lkt ssh');
    const port = sshPort(machine);
    const { sshAnswers } = await import('@lkt/machine');
    const patience = AbortSignal.any([session.signal, AbortSignal.timeout(waitMs)]);
    const answered = sshAnswers(port, patience);
    const late = sleep(UNREPORTED_MS, 'late' as const, { ref: false });
    const step = { id: 'ssh', title: `wait for the ssh server of ${machine.name}` };
    const hasAnswered =
      (await Promise.race([answered, late])) === 'late'
        ? await reportStep(session.reporter, step, async () => answered)
        : await answered;
    this.endProgress();
    if (!hasAnswered) {
      session.signal.throwIfAborted();
      throw new LktError(
        'RUN_FAILED',
        `the ssh server of ${machine.name} has not answered within ${flags.wait}`,
        { fix: `see why: lkt logs ${machine.name}` },
      );
    }
    const host = await hostKeyArguments(machine, port);
    const key =
      flags.identity === undefined ? [] : ['-i', flags.identity, '-o', 'IdentitiesOnly=yes'];
    const login = ['-p', String(port.hostPort), '-l', flags.user, '--', port.address];
    const status = await runSsh(
      [...host, ...key, ...login, ...command],
      this.jsonEnabled() ? 2 : 1,
    );
    process.exitCode = status;
    return { machine: machine.name, port: port.hostPort, status };
  }
}
