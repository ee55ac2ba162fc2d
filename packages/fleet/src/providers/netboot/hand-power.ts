import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import { ProviderError } from '../../provider.ts';
import type { Machine, PowerControl } from '../metal/power-control.ts';

type State = 'on' | 'off';

/**
 * Asks a person to switch machines, once per change. The person then writes `on` or `off` into
 * `power/NAME` of the state directory.
 */
export class HandPower implements PowerControl {
  readonly isSlow = true;
  readonly #dir: string;
  readonly #ask: (text: string) => void;
  readonly #asked = new Map<string, State>();

  constructor(dir: string, ask: (text: string) => void) {
    this.#dir = join(dir, 'power');
    this.#ask = ask;
  }

  async isOn({ name }: Machine): Promise<boolean> {
    const path = join(this.#dir, name);
    let text = 'off';
    try {
      text = (await readFile(path, 'utf8')).trim();
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    if (text !== 'on' && text !== 'off')
      throw new ProviderError('malformed', `${path} has neither "on" nor "off"`, {
        fix: `look at the machine ${name}, and write one of them`,
      });
    if (this.#asked.get(name) === text) this.#asked.delete(name);
    return text === 'on';
  }

  async bootFromNetwork(): Promise<void> {
    // Included in the request below.
  }

  async on(machine: Machine): Promise<void> {
    await this.#want('on', machine, 'let it boot from the network: switch it on');
  }

  async shutDown(machine: Machine): Promise<void> {
    await this.#want('off', machine, 'shut it down');
  }

  async off(machine: Machine): Promise<void> {
    await this.#want('off', machine, 'switch it off');
  }

  async #want(state: State, machine: Machine, what: string): Promise<void> {
    const { name, mac } = machine;
    if ((await this.isOn(machine)) === (state === 'on') || this.#asked.get(name) === state) return;
    this.#asked.set(name, state);
    this.#ask(`${name} (${mac}): ${what}, and then: echo ${state} > ${join(this.#dir, name)}`);
  }
}
