import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** A switch in a network namespace, with stations in their own namespaces connected to it. */
export interface Network extends AsyncDisposable {
  /** Connects a station by its `eth0`, with an address if given. */
  station(name: string, address?: string): Station;
  /** Connects a station, also of another network, by an interface. */
  connect(station: Station, link: string): void;
  /** Plugs the cable of a station's `eth0` in or out. */
  plug(name: string, state: 'up' | 'down'): void;
}

/** A network namespace and its programs. */
export interface Station {
  readonly namespace: string;
  /** Runs a command in the namespace and returns its output. */
  run(...command: readonly string[]): string;
  /** Starts a command in the namespace. It is killed when the network is disposed of. */
  start(...command: readonly string[]): Program;
  /** Returns the IPv4 addresses of `eth0`, with prefix lengths. */
  addresses(): readonly string[];
  /** Returns the IPv6 addresses of `eth0` that are not link-local, with prefix lengths. */
  addresses6(): readonly string[];
}

/** A program started in a namespace. */
export interface Program {
  readonly pid: number;
  /** Returns its output so far. */
  output(): string;
  /**
   * Resolves when the output has `text` for the `times`-th time. Fails after a minute, or if the
   * program ends first.
   */
  says(text: string, times?: number): Promise<void>;
  /** Kills it and waits for its end. */
  stop(): Promise<void>;
  /** Resolves to its exit status. */
  readonly ended: Promise<number | null>;
}

let count = 0;

/** Makes a network with unique names. Disposal kills its programs and removes it. */
export function network(): Network {
  count += 1;
  const prefix = `lkt${process.pid}x${count}`;
  const lan = `${prefix}-lan`;
  const namespaces = [lan];
  const programs: Program[] = [];
  ip('netns', 'add', lan);
  ip('-n', lan, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
  ip('-n', lan, 'link', 'set', 'br0', 'up');
  const connect = (namespace: string, link: string, port: string): void => {
    const peer = ['peer', 'name', port, 'netns', lan];
    ip('link', 'add', link, 'netns', namespace, 'type', 'veth', ...peer);
    ip('-n', lan, 'link', 'set', 'dev', port, 'master', 'br0', 'up');
  };
  return {
    plug: (name, state) => {
      ip('-n', lan, 'link', 'set', 'dev', name, state);
    },
    connect: ({ namespace }, link) => connect(namespace, link, `other-${link}`),
    station: (name, address) => {
      const namespace = `${prefix}-${name}`;
      ip('netns', 'add', namespace);
      namespaces.push(namespace);
      connect(namespace, 'eth0', name);
      if (address !== undefined) {
        ip('-n', namespace, 'addr', 'add', address, 'dev', 'eth0');
        ip('-n', namespace, 'link', 'set', 'eth0', 'up');
      }
      const within = ['netns', 'exec', namespace];
      return {
        namespace,
        run: (...command) => ip(...within, ...command),
        start: (...command) => {
          const program = follow(spawn('ip', [...within, ...command]));
          programs.push(program);
          return program;
        },
        addresses: () => addresses(namespace, '-4'),
        addresses6: () => addresses(namespace, '-6'),
      };
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(programs.map(async (program) => program.stop()));
      for (const name of namespaces) ip('netns', 'del', name);
    },
  };
}

function addresses(namespace: string, family: string): readonly string[] {
  const text = ip('-n', namespace, family, '-j', 'addr', 'show', 'dev', 'eth0');
  const [link] = JSON.parse(text) as {
    addr_info?: { local: string; prefixlen: number; scope: string }[];
  }[];
  return (link?.addr_info ?? [])
    .filter(({ scope }) => scope === 'global')
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

function follow(child: ChildProcess): Program {
  let text = '';
  const collect = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const gone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    output: () => text,
    ended,
    says: async (wanted, times = 1) => {
      const end = Date.now() + 60_000;
      while (text.split(wanted).length <= times) {
        if (gone() || Date.now() > end)
          throw new Error(`missing output ${JSON.stringify(wanted)} ${times} times:\n${text}`);
        await sleep(50);
      }
    },
    stop: async () => {
      if (!gone()) child.kill('SIGTERM');
      await ended;
    },
  };
}
