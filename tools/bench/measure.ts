import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const root: string = join(import.meta.dirname, '../..');

/** Runs a command a few times, each after `before`, and gives the median of its seconds. */
export function median(
  command: readonly string[],
  options: { runs?: number; before?: () => void; cwd?: string } = {},
): number {
  const seconds: number[] = [];
  for (let run = 0; run < (options.runs ?? 5); run += 1) {
    options.before?.();
    const [file = '', ...args] = command;
    const start = process.hrtime.bigint();
    const done = spawnSync(file, args, {
      cwd: options.cwd ?? root,
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    if (done.status !== 0)
      throw new Error(`${command.join(' ')}: ${done.error?.message ?? done.stderr}`);
    seconds.push(Number(process.hrtime.bigint() - start) / 1e9);
  }
  return seconds.toSorted((a, b) => a - b)[Math.floor(seconds.length / 2)] ?? 0;
}

/** One line: ours, the peer's, and how many times faster ours is. */
export function compare(what: string, ours: number, peer: string, theirs: number): void {
  const ratio = (theirs / ours).toFixed(2);
  process.stdout.write(
    `${what}: ${ours.toFixed(3)} s, ${peer} ${theirs.toFixed(3)} s, ratio ${ratio}\n`,
  );
}
