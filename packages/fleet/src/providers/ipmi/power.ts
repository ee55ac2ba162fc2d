import { ProviderError } from '../../provider.ts';
import type { Machine, PowerControl } from '../metal/power-control.ts';
import { runTool } from '../tool.ts';
import type { IpmiSettings } from './settings.ts';

/** A machine with a BMC at `HOST` or `HOST:PORT`. */
export interface IpmiMachine extends Machine {
  readonly bmc: string;
}

const PORT = '623';
/** Retry interval in seconds and retry count of ipmitool, as BMCs lose packets. */
const RETRIES = ['-N', '1', '-R', '2'];
const TIMEOUT_MS = 60_000;

/** Switches machines by `ipmitool`, which reads the password from a file. */
export class IpmiPower implements PowerControl<IpmiMachine> {
  readonly #options: Pick<IpmiSettings, 'user' | 'passwordFile' | 'firmware'>;

  constructor(options: Pick<IpmiSettings, 'user' | 'passwordFile' | 'firmware'>) {
    this.#options = options;
  }

  async isOn(machine: IpmiMachine, signal: AbortSignal): Promise<boolean> {
    const text = await this.#chassis(machine, ['power', 'status'], signal);
    const [, state] = /^Chassis Power is (on|off)$/m.exec(text) ?? [];
    if (state !== undefined) return state === 'on';
    throw new ProviderError('malformed', `the BMC of ${machine.name} reports no power state`);
  }

  async bootFromNetwork(machine: IpmiMachine, signal: AbortSignal): Promise<void> {
    const options = this.#options.firmware === 'efi' ? ['options=efiboot'] : [];
    await this.#chassis(machine, ['bootdev', 'pxe', ...options], signal);
  }

  async on(machine: IpmiMachine, signal: AbortSignal): Promise<void> {
    await this.#chassis(machine, ['power', 'on'], signal);
  }

  async shutDown(machine: IpmiMachine, signal: AbortSignal): Promise<void> {
    await this.#chassis(machine, ['power', 'soft'], signal);
  }

  async off(machine: IpmiMachine, signal: AbortSignal): Promise<void> {
    await this.#chassis(machine, ['power', 'off'], signal);
  }

  async #chassis(
    { name, bmc }: IpmiMachine,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<string> {
    const { user, passwordFile } = this.#options;
    const [host = '', port = PORT] = bmc.split(':');
    const target = ['-I', 'lanplus', '-H', host, '-p', port, '-U', user, '-f', passwordFile];
    const { code, stdout, stderr } = await runTool(
      'ipmitool',
      [...target, '-L', 'ADMINISTRATOR', ...RETRIES, 'chassis', ...command],
      { signal, timeoutMs: TIMEOUT_MS, aptPackage: 'ipmitool' },
    );
    // ipmitool exits with 0 even if a BMC refuses a boot device.
    if (code === 0 && !/^(?:Error|Set Chassis Boot Parameter .* failed)/m.test(stderr))
      return stdout;
    const [line = ''] = stderr.split('\n').filter((one) => one !== '');
    const isDenied = /[Ii]nsufficient privilege|unauthorized/.test(stderr);
    const isRefused = /Invalid data field|Invalid command|not supported/.test(stderr);
    throw new ProviderError(
      isDenied ? 'denied' : isRefused ? 'invalid' : 'unavailable',
      `the BMC of ${name}, ${bmc}, failed at "${command.join(' ')}": ${line.slice(0, 300)}`,
      {
        fix: isDenied
          ? `give the user ${user} the privilege ADMINISTRATOR`
          : 'check the address, the user, the password file, and that IPMI over LAN is on',
      },
    );
  }
}
