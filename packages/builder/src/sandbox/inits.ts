import { closeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { programPath } from '@lkt/core/program';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Cgroups, CommandGroup } from '../cgroup/cgroup.ts';
import { type CommandProcess, startProcess } from './command-process.ts';
import type { Sandbox } from './sandbox.ts';
import { addMountFlags, detach, mount, MS } from '../system/syscalls.ts';

/**
 * Strings are hashed with the seed of Node's snapshot, and not all of it anew with a random one, which is a fourth of the
 * start. A seed that is known lets who chooses many names make a table slow: an init reads next to nothing of others.
 */
const NODE_FLAGS = ['--no-warnings', '--no-rehash-snapshot'];

/** A process, and the control group it is in, which is to be removed after it. */
export interface GroupedProcess extends CommandProcess {
  readonly group: CommandGroup | undefined;
}

/**
 * The first processes of RUNs (init.ts). To start one takes longer than most of what a small command does, so while one
 * command runs the next process is started, which then waits for its sandbox. Each is used once.
 */
export class Inits {
  readonly #options: InitOptions;
  #expected = 0;
  #waiting: GroupedProcess | undefined;
  #node: string | undefined;

  constructor(options: InitOptions) {
    this.#options = options;
  }

  /** Says how many RUNs there may be. The first process is started now. */
  expect(count: number): void {
    this.#expected = count;
    if (count > 0) this.#waiting ??= this.#start();
  }

  /** Runs a command. @param describe says which, for the group its process is in */
  run(describe: (group: CommandGroup | undefined) => Sandbox): GroupedProcess {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined && !isAlive(waiting)) waiting.group?.remove();
    const init = waiting !== undefined && isAlive(waiting) ? waiting : this.#start();
    const groups = this.#joinsLate ? (init.group?.joins ?? []) : [];
    const description = init.child.stdio[4] as Writable;
    // It may have ended in this moment; that is told by how it ended.
    description.on('error', () => undefined);
    description.write(`${JSON.stringify({ ...describe(init.group), groups })}\n`);
    this.#expected -= 1;
    if (this.#expected > 0) this.#waiting = this.#start();
    return init;
  }

  /** Ends the process that waits. */
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
    const { groups, store, limits } = this.#options;
    const group = groups.create(groupLimits(limits));
    const joins = this.#joinsLate ? [] : (group?.joins ?? []);
    const init = programPath(new URL('init.ts', import.meta.url));
    const command = [this.#program(), ...NODE_FLAGS, init, ...joins];
    // The other namespaces are made when the command is there: in one of its own it would not see what is mounted later.
    const argv = ['unshare', '--pid', '--fork', '--kill-child=KILL', '--', ...command];
    return { ...startProcess(argv, { store, limits, extra: ['pipe'] }), group };
  }

  /**
   * Node, mounted over itself and read-only: it stays in reach of a command as /proc/self/exe, which the command could
   * become.
   */
  #program(): string {
    if (this.#node === undefined) {
      const node = process.execPath;
      mount(node, node, { flags: MS.bind });
      this.#node = node;
      addMountFlags(node, MS.rdonly);
    }
    return this.#node;
  }

  /** What Node needs to start is not to count for the memory of a command. */
  get #joinsLate(): boolean {
    return this.#options.limits.memory !== undefined;
  }
}

interface InitOptions {
  /** Directory of the store. */
  readonly store: string;
  readonly limits: Limits;
  readonly groups: Cgroups;
}

/** What a control group holds a command to. */
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
