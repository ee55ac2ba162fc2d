import { closeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { programPath } from '@lkt/core/program';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Cgroups, CommandGroup } from '../cgroup/cgroup.ts';
import { type CommandProcess, startProcess } from './command-process.ts';
import type { Sandbox } from './sandbox.ts';
import { addMountFlags, detach, mount, MS } from '../system/syscalls.ts';

/**
 * Keeps the hash seed of Node's snapshot: rehashing with a random seed takes a fourth of the start.
 * A known seed allows crafted names to slow down tables, but an init reads hardly any foreign
 * names.
 */
const NODE_FLAGS = ['--no-warnings', '--no-rehash-snapshot'];

/** A process with its control group, which is removed after it. */
export interface GroupedProcess extends CommandProcess {
  readonly group: CommandGroup | undefined;
}

/**
 * The first processes of RUNs (init.ts). Starting one takes longer than most small commands, so
 * while a command runs, the next process is started and waits for its sandbox. Each is used once.
 */
export class Inits {
  readonly #options: InitOptions;
  #expected = 0;
  #waiting: GroupedProcess | undefined;
  #node: string | undefined;

  constructor(options: InitOptions) {
    this.#options = options;
  }

  /** Announces the maximum number of RUNs, and starts the first process. */
  expect(count: number): void {
    this.#expected = count;
    if (count > 0) this.#waiting ??= this.#start();
  }

  /** Runs a command. @param describe returns its sandbox, given the group of its process */
  run(describe: (group: CommandGroup | undefined) => Sandbox): GroupedProcess {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined && !isAlive(waiting)) waiting.group?.remove();
    const init = waiting !== undefined && isAlive(waiting) ? waiting : this.#start();
    const groups = this.#joinsLate ? (init.group?.joins ?? []) : [];
    const description = init.child.stdio[4] as Writable;
    // If it has just ended, its status tells.
    description.on('error', () => undefined);
    description.write(`${JSON.stringify({ ...describe(init.group), groups })}\n`);
    this.#expected -= 1;
    if (this.#expected > 0) this.#waiting = this.#start();
    return init;
  }

  /** Ends the waiting process. */
  async close(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) {
      closeSync(waiting.output);
      waiting.child.kill('SIGKILL');
      for (const stream of waiting.child.stdio) stream?.destroy();
      await waiting.ended.catch(() => undefined);
      waiting.group?.remove();
    }
    if (this.#node !== undefined) detach(this.#node);
    this.#node = undefined;
  }

  #start(): GroupedProcess {
    const { groups, limits } = this.#options;
    const group = groups.create(groupLimits(limits));
    const joins = this.#joinsLate ? [] : (group?.joins ?? []);
    const init = programPath(new URL('init.ts', import.meta.url));
    const command = [this.#program(), ...NODE_FLAGS, init, ...joins];
    // The init makes the other namespaces once it has a command: an earlier mount namespace would
    // lack later mounts.
    const argv = ['unshare', '--pid', '--fork', '--kill-child=KILL', '--', ...command];
    return { ...startProcess(argv, { limits, extra: ['pipe'] }), group };
  }

  /** Returns Node, bind-mounted over itself read-only: a command can reach it as /proc/self/exe. */
  #program(): string {
    if (this.#node === undefined) {
      const node = process.execPath;
      mount(node, node, { flags: MS.bind });
      this.#node = node;
      addMountFlags(node, MS.rdonly);
    }
    return this.#node;
  }

  /**
   * True if an init joins its groups late, so that Node's own memory does not count for the
   * command.
   */
  get #joinsLate(): boolean {
    return this.#options.limits.memory !== undefined;
  }
}

interface InitOptions {
  readonly limits: Limits;
  readonly groups: Cgroups;
}

/** Returns the limits that a control group enforces. */
export function groupLimits({ cpus, memory, pids = DEFAULT_LIMITS.pids }: Limits): Limits {
  return {
    pids,
    cpus,
    memory,
  };
}

function isAlive({ child }: CommandProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
