/**
 * Measures how long a kernel takes to start init and to complete the boot, next to the
 * distribution's kernel for clouds. Boots the same system with both, in turns.
 *
 *     node_modules/.bin/node tools/bench/boot.ts [--runs N] [--times-only] [--answer PORT]
 *         [--memory MIB] [--cpus N] [--json] [CONFIG]
 *
 * Prints the table of docs/benchmarks.md. Needs qemu-system-x86_64. CONFIG defaults to
 * examples/minimal.yml. Builds its images and kernel/linux if the store lacks them, which takes a
 * quarter of an hour of processor time. Removes its temporary directory.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import type { Duplex } from 'node:stream';
import { parseArgs } from 'node:util';
import { root } from './measure.ts';
import { processorTimeOf } from './processes.ts';

/** Console output of init at its start, and at the end of the boot. */
const MARKS = { init: /^lkt: /m, end: /^lkt: boot complete/m } as const;
/** Memory sizes to try, in MiB, and the time limit for each under emulation, in milliseconds. */
const MEMORY = [48, 56, 64, 72, 80, 96, 112, 128, 160, 192, 256];
const PATIENCE = 180_000;

/** Milliseconds of wall-clock time, and of QEMU's processor time. */
interface Times {
  readonly wall: number;
  readonly processor: number;
}

/** Times from the power-on of the machine. */
interface Boot {
  readonly init: Times;
  readonly end: Times;
  readonly answer?: Times | undefined;
}

interface Figures {
  readonly kernel: string;
  readonly kernelBytes: number;
  readonly initrdBytes: number;
  readonly boots: readonly Boot[];
  /** The smallest size of `MEMORY`, in MiB, with which the boot completes. */
  readonly memory: number | undefined;
}

const { values, positionals } = parseArgs({
  options: {
    runs: { type: 'string', default: '7' },
    // Skip the search for the smallest memory: it takes minutes, as a system with too little often
    // hangs.
    'times-only': { type: 'boolean', default: false },
    answer: { type: 'string' },
    memory: { type: 'string', default: '1024' },
    cpus: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const config = resolve(root, positionals[0] ?? 'examples/minimal.yml');
const dir = mkdtempSync(join(tmpdir(), 'lkt-bench-'));
const KERNELS = ['kernel/linux', 'kernel/debian'];

try {
  await main(Number(values.runs));
} finally {
  rmSync(dir, { recursive: true, force: true });
}

async function main(runs: number): Promise<void> {
  for (const [index, kernel] of KERNELS.entries()) build(String(index), kernel);
  const boots: Boot[][] = KERNELS.map(() => []);
  for (let round = 0; round < runs; round += 1)
    for (const index of KERNELS.keys())
      boots[index]?.push(await boot(String(index), Number(values.memory)));
  const figures: Figures[] = [];
  for (const [index, kernel] of KERNELS.entries())
    figures.push({
      kernel,
      kernelBytes: statSync(join(dir, `${index}-kernel`)).size,
      initrdBytes: statSync(join(dir, `${index}-initrd.img`)).size,
      boots: boots[index] ?? [],
      memory: values['times-only'] ? undefined : await leastMemory(String(index)),
    });
  process.stdout.write(values.json ? `${JSON.stringify(figures, undefined, 2)}\n` : table(figures));
}

function build(name: string, kernel: string): void {
  const other = join(dir, `${name}.yml`);
  writeFileSync(other, `kernel: {image: "@pkg:${join(root, kernel)}"}\n`);
  const args = ['build', '--quiet', '--dir', dir, '--name', name, config, other];
  const { status, stderr } = spawnSync(join(root, 'lkt'), args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

/** @throws Error if the boot does not complete */
async function boot(name: string, memory: number): Promise<Boot> {
  const cmdline = readFileSync(join(dir, `${name}-cmdline`), 'utf8').trim();
  const port = values.answer === undefined ? undefined : await freePort();
  const forward = port === undefined ? '' : `,hostfwd=tcp:127.0.0.1:${port}-:${values.answer}`;
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      [
        '-machine',
        'pc',
        '-accel',
        'tcg,thread=multi',
        '-cpu',
        'max,-erms,-fsrm',
        '-m',
        String(memory),
        '-smp',
        values.cpus,
      ],
      ['-device', 'virtio-rng-pci', '-nic', `user,model=virtio-net-pci,restrict=on${forward}`],
      ['-kernel', join(dir, `${name}-kernel`), '-initrd', join(dir, `${name}-initrd.img`)],
      // Start halted, with all memory allocated: the host's time to find a gigabyte does not count.
      ['-mem-prealloc', '-S', '-chardev', 'socket,id=qmp,fd=3', '-mon', 'chardev=qmp,mode=control'],
      ['-append', `${cmdline} no_timer_check`],
    ].flat(),
    { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] },
  );
  const closed = once(qemu, 'close');
  const before = await start(qemu);
  const patience = setTimeout(() => qemu.kill('SIGKILL'), PATIENCE);
  let console = '';
  let hasAnswered = port === undefined;
  const seen: Partial<Record<keyof typeof MARKS, Times>> = {};
  qemu.stdout?.setEncoding('latin1');
  qemu.stdout?.on('data', (text: string) => {
    console += text;
    for (const mark of ['init', 'end'] as const) {
      if (seen[mark] !== undefined || !MARKS[mark].test(console)) continue;
      const now = timesOf(qemu);
      seen[mark] = {
        wall: now.wall - before.wall,
        processor: now.processor - before.processor,
      };
    }
    if (seen.end !== undefined && hasAnswered) qemu.kill('SIGKILL');
  });
  const answer = port === undefined ? undefined : await answered(port, qemu, before);
  hasAnswered = true;
  if (seen.end !== undefined) qemu.kill('SIGKILL');
  await closed;
  clearTimeout(patience);
  const { init, end } = seen;
  if (init === undefined || end === undefined)
    throw new Error(`the boot did not complete with ${memory} MiB:\n${console.slice(-2000)}`);
  return { init, end, answer };
}

/** Resumes a halted machine as soon as it is ready. Returns the times at that moment. */
async function start(qemu: ChildProcess): Promise<Times> {
  const control = qemu.stdio[3] as Duplex;
  const said = createInterface({ input: control });
  control.write('{"execute":"qmp_capabilities"}\n');
  for await (const line of said) if (line.startsWith('{"return"')) break;
  const times = timesOf(qemu);
  control.write('{"execute":"cont"}\n');
  return times;
}

/**
 * Connects until the guest sends data, or the machine has ended. QEMU retries a connection that
 * came too early, so each attempt has a short timeout.
 */
async function answered(
  port: number,
  qemu: ChildProcess,
  before: Times,
): Promise<Times | undefined> {
  for (;;) {
    const hasAnswered = await new Promise<boolean>((done) => {
      const socket = connect({ port, host: '127.0.0.1' });
      const end = (isData: boolean) => (): void => {
        socket.destroy();
        done(isData);
      };
      socket.setTimeout(300, end(false)).on('data', end(true)).on('error', end(false));
      socket.on('close', end(false));
    });
    if (qemu.exitCode !== null || qemu.signalCode !== null) return undefined;
    if (!hasAnswered) {
      await wait(20);
      continue;
    }
    const now = timesOf(qemu);
    return { wall: now.wall - before.wall, processor: now.processor - before.processor };
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

function timesOf({ pid = 0 }: ChildProcess): Times {
  return { wall: performance.now(), processor: processorTimeOf(pid) };
}

async function leastMemory(name: string): Promise<number | undefined> {
  for (const memory of MEMORY) {
    try {
      await boot(name, memory);
      return memory;
    } catch {
      // Too little memory: the kernel panics or kills a process.
    }
  }
  return undefined;
}

function table(figures: readonly Figures[]): string {
  const rows = figures.map(({ kernel, kernelBytes, initrdBytes, boots, memory }) => [
    `\`${kernel}\``,
    `${(kernelBytes / 1e6).toFixed(2)} MB`,
    `${(initrdBytes / 1e6).toFixed(2)} MB`,
    both(boots.map(({ init }) => init)),
    both(boots.map(({ end }) => end)),
    ...(values.answer === undefined ? [] : [both(boots.flatMap(({ answer }) => answer ?? []))]),
    values['times-only'] ? '' : memory === undefined ? 'more' : `${memory} MiB`,
  ]);
  const [ours = 0, theirs = 1] = figures.map(({ boots }) =>
    median(boots.map(({ init }) => init.processor)),
  );
  const answers = values.answer === undefined ? [] : ['to the first answer'];
  const titles = ['kernel', 'size', 'initrd', 'to init', 'to the end', ...answers, 'least memory'];
  return [
    `| ${titles.join(' | ')} |`,
    `| ${titles.map(() => '---').join(' | ')} |`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    `To init in ${Math.round((ours / theirs) * 100)} % of the processor time. Medians of ${figures[0]?.boots.length} boots.`,
    '',
  ].join('\n');
}

function both(times: readonly Times[]): string {
  const wall = median(times.map((time) => time.wall));
  const processor = median(times.map((time) => time.processor));
  return `${(wall / 1000).toFixed(1)} s (${(processor / 1000).toFixed(1)} s)`;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
