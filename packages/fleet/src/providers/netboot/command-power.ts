import { LktError } from '@lkt/core';
import { ProviderError } from '../../provider.ts';
import type { Machine, PowerControl } from '../metal/power-control.ts';
import { runTool } from '../tool.ts';

const TIMEOUT_MS = 60_000;
const MAX_LINE_CHARS = 300;

/**
 * Switches machines by a program of the user: `PROGRAM… ACTION NAME`, with the MAC address in
 * `LKT_MAC`. Actions are `status`, which prints `on` or `off`, `on`, `off`, `shutdown`, and
 * `netboot` before a start. It ends with 0 for success.
 */
export class CommandPower implements PowerControl {
  readonly #command: readonly string[];

  constructor(command: readonly string[]) {
    this.#command = command;
  }

  async isOn(machine: Machine, signal: AbortSignal): Promise<boolean> {
    const state = (await this.#run('status', machine, signal)).trim();
    if (state === 'on' || state === 'off') return state === 'on';
    throw new ProviderError(
      'malformed',
      `${this.#command.join(' ')} status ${machine.name} prints "${lineOf(state)}"`,
      { fix: 'make it print on or off' },
    );
  }

  async bootFromNetwork(machine: Machine, signal: AbortSignal): Promise<void> {
    await this.#run('netboot', machine, signal);
  }

  async on(machine: Machine, signal: AbortSignal): Promise<void> {
    await this.#run('on', machine, signal);
  }

  async shutDown(machine: Machine, signal: AbortSignal): Promise<void> {
    await this.#run('shutdown', machine, signal);
  }

  async off(machine: Machine, signal: AbortSignal): Promise<void> {
    await this.#run('off', machine, signal);
  }

  async #run(action: string, { name, mac }: Machine, signal: AbortSignal): Promise<string> {
    const [program = '', ...args] = this.#command;
    const { code, stdout, stderr } = await runTool(program, [...args, action, name], {
      signal,
      timeoutMs: TIMEOUT_MS,
      aptPackage: '',
      env: { LKT_MAC: mac },
    }).catch((cause: unknown) => {
      if (!(cause instanceof LktError) || cause.code !== 'TOOL_MISSING') throw cause;
      throw new ProviderError('invalid', `cannot run ${program}`, {
        fix: 'correct command of the provider, and make the program executable',
      });
    });
    if (code === 0) return stdout;
    throw new ProviderError(
      'unavailable',
      `${this.#command.join(' ')} ${action} ${name} ended with ${code}: ${lineOf(stderr)}`,
    );
  }
}

function lineOf(text: string): string {
  const line = text.split('\n').find((one) => one.trim() !== '') ?? '';
  return line.replaceAll(/\p{C}/gu, ' ').slice(0, MAX_LINE_CHARS);
}
