import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { MemoryWatch, processorTime } from './processes.ts';

export const root: string = join(import.meta.dirname, '../..');

/** A command to measure, and its preparation before each run. */
export interface Subject {
  readonly name: string;
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly before?: () => void;
  /** PID of a server that works for the command: its memory counts too. */
  readonly server?: number;
}

export interface Measurement {
  readonly name: string;
  /** Wall-clock time in milliseconds. */
  readonly median: number;
  readonly least: number;
  readonly most: number;
  /**
   * Median processor time of the command and its children in milliseconds, without the server's.
   */
  readonly processor: number;
  /** Peak memory of the command with all its processes and the server, in MB. */
  readonly memory: number;
}

/**
 * Measures each subject `runs` times, in turns, so that other load on the machine affects all of
 * them. Measures memory in a separate run.
 */
export async function measure(
  subjects: readonly Subject[],
  runs: number,
): Promise<readonly Measurement[]> {
  const wall = subjects.map((): number[] => []);
  const processor = subjects.map((): number[] => []);
  for (let round = 0; round < runs; round += 1) {
    for (const [index, subject] of subjects.entries()) {
      subject.before?.();
      const [file = '', ...args] = subject.command;
      const spent = processorTime();
      const start = process.hrtime.bigint();
      const { status, error, stderr } = spawnSync(file, args, {
        ...surroundings(subject),
        encoding: 'utf8',
      });
      if (status !== 0)
        throw new Error(`${subject.command.join(' ')}: ${error?.message ?? stderr}`);
      wall[index]?.push(Number(process.hrtime.bigint() - start) / 1e6);
      processor[index]?.push(processorTime() - spent);
    }
  }
  const measurements: Measurement[] = [];
  for (const [index, subject] of subjects.entries()) {
    const sorted = (wall[index] ?? []).toSorted((a, b) => a - b);
    measurements.push({
      name: subject.name,
      median: middle(sorted),
      least: sorted[0] ?? 0,
      most: sorted.at(-1) ?? 0,
      processor: middle(processor[index] ?? []),
      memory: await peakMemory(subject),
    });
  }
  return measurements;
}

async function peakMemory(subject: Subject): Promise<number> {
  subject.before?.();
  const [file = '', ...args] = subject.command;
  const child = spawn(file, args, surroundings(subject));
  const watches = [child.pid ?? 0, ...(subject.server === undefined ? [] : [subject.server])].map(
    (pid) => new MemoryWatch(pid),
  );
  child.stderr?.resume();
  await new Promise((resolve) => child.on('close', resolve));
  return watches.reduce((sum, watch) => sum + watch.end(), 0);
}

function surroundings({ cwd, env }: Subject): SpawnOptions {
  return {
    cwd: cwd ?? root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
  };
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
