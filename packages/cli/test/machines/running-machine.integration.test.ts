import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MachineRecords, type OpenRecord } from '@lkt/machine';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { main } from '../program.ts';

const CONSOLE = [
  'lkt: onboot 000-sysctl 1.000',
  'lkt: service dhcp starts 2.000',
  'lkt: service sshd starts 2.000',
  'sshd: listens on port 22',
  '',
].join('\n');

const dir = mkdtempSync(join(tmpdir(), 'lkt-running-'));
const env = {
  PATH: process.env['PATH'],
  HOME: dir,
  XDG_RUNTIME_DIR: dir,
  LKT_CACHE: join(dir, 'store'),
  NO_COLOR: '1',
  NODE: process.execPath,
  MAIN: main,
};

/** This process stands for machines: one of an unknown image, and one of a config. */
let machines: readonly OpenRecord[];

beforeAll(async () => {
  const records = new MachineRecords(join(dir, 'lkt/machines'));
  machines = [
    await records.create({ name: 'quick', ports: [] }),
    await records.create({ name: 'my-os', ports: [], services: ['dhcp', 'web'] }),
    await records.create({ name: '$(touch hacked)', ports: [] }),
  ];
  for (const { log } of machines) log.write(Buffer.from(CONSOLE));
});
afterAll(async () => {
  for (const machine of machines) await machine[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

interface Done {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, ...words: readonly string[]): Done {
  return spawnSync(program, words, { cwd: dir, env, encoding: 'utf8' });
}

const lkt = (...words: readonly string[]): Done => run(process.execPath, main, ...words);

test('reports which services the console shows, if it does not show the wanted one', () => {
  expect(lkt('logs', 'quick', 'sshd')).toMatchObject({
    status: 0,
    stdout: 'lkt: service sshd starts 2.000\nlistens on port 22\n',
    stderr: '',
  });
  const shown = 'it shows onboot.000-sysctl, dhcp, sshd';
  expect(lkt('logs', 'quick', 'web')).toMatchObject({
    status: 0,
    stdout: '',
    stderr: `warning: the console of quick shows no service web; ${shown}\n`,
  });
  expect(lkt('logs', 'my-os', 'onboot.001-x').stderr).toBe(
    `warning: the console of my-os shows no service onboot.001-x; ${shown}\n`,
  );
  for (const name of ['web', 'init'])
    expect(lkt('logs', 'my-os', name).stderr).toMatch(
      /^warning: the console has no log of \w+; add lkt\.logs\.console=all/,
    );
  expect(lkt('logs', 'my-os', 'sshd')).toMatchObject({ status: 1, stdout: '' });
});

test('reports that it waits for an ssh server', async () => {
  // The kernel accepts connections, and nothing answers.
  await using server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: hostPort } = server.address() as AddressInfo;
  const port = { address: '127.0.0.1', hostPort, guestPort: 22, protocol: 'tcp' } as const;
  const records = new MachineRecords(join(dir, 'lkt/machines'));
  await using machine = await records.create({ name: 'silent', ports: [port] });
  machine.log.write(Buffer.from(CONSOLE));
  const done = lkt('ssh', '--wait', '4s', 'silent', '--', 'true');
  expect(done).toMatchObject({ status: 1, stdout: '' });
  expect(done.stderr).toMatch(
    /^ssh: wait for the ssh server of silent\n.*error: the ssh server of silent has not answered within 4s\n/s,
  );
});

test('completes the names of machines, without what a shell would run', () => {
  expect(lkt('completion', '--machines').stdout).toBe('my-os\nquick\n');
  const lines = ['lkt() { "$NODE" "$MAIN" "$@"; }', 'compopt() { :; }'];
  const bash = [
    ...lines,
    'source <(lkt completion bash)',
    'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))',
    '_lkt',
    'echo "${COMPREPLY[@]}"',
  ];
  writeFileSync(join(dir, 'complete.bash'), bash.join('\n'));
  const complete = (...words: readonly string[]): string =>
    run('bash', 'complete.bash', 'lkt', ...words).stdout;
  expect(complete('ssh', '')).toBe('my-os quick\n');
  expect(complete('logs', 'my')).toBe('my-os\n');
  expect(complete('ssh', '-l', 'root', 'q')).toBe('quick\n');
  const fish = 'function lkt; $NODE $MAIN $argv; end; lkt completion fish | source';
  expect(run('fish', '-c', `${fish}; complete -C "lkt ssh q"`).stdout).toBe('quick\n');
  const zsh = run(process.execPath, main, 'completion', 'zsh').stdout;
  // The completion system of zsh needs a terminal.
  const action = /logs'\) .*'1::MACHINE:\{(.*?)\}'/.exec(zsh)?.[1] ?? 'none';
  const listed = `compadd() { shift; print -l -- "$@"; }; ${lines[0]}; ${action}`;
  expect(run('zsh', '-f', '-c', listed).stdout).toBe('my-os\nquick\n');
});

test('prints the script of the shell in use', () => {
  expect(run('env', 'SHELL=/bin/bash', process.execPath, main, 'completion').stdout).toMatch(
    /^# bash completion/,
  );
  const other = run('env', 'SHELL=/bin/tcsh', process.execPath, main, 'completion');
  expect(other).toMatchObject({ status: 2, stdout: '' });
  expect(other.stderr).toContain('fix: name one of bash, zsh, fish');
});
