import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { classifyContent } from '../src/classify-bytes.ts';
import type { BuildFacts } from '../src/classify-text.ts';
import { scratch } from '../../builder/test/fixture.ts';

/** 2026-11-05T12:00:00Z */
export const now = 1_793_880_000;
export const facts: BuildFacts = {
  now,
  command: 'RUN make',
  processors: [8, 1],
  hostnames: ['builder-7', 'elsewhere', 'vm'],
  kernel: '6.18.44-fc-v769',
};

export function kindOf(first: string | Buffer, second: string | Buffer, path = 'out'): string {
  return classifyContent(path, Buffer.from(first), Buffer.from(second), facts).cause.kind;
}

/**
 * Returns two archives of the same two files, in equal or different order, with equal or different
 * times.
 */
export function pair(
  command: (names: string) => string,
  change: 'order' | 'time' | 'none',
): Buffer[] {
  using dir = scratch();
  return [1, 2].map((round) => {
    const work = join(dir.path, String(round));
    mkdirSync(work);
    for (const name of ['a.txt', 'b.txt']) {
      writeFileSync(join(work, name), `content of ${name}\n`);
      const time = change === 'time' ? now + round * 10 : now;
      utimesSync(join(work, name), time, time);
    }
    const names = change === 'order' && round === 2 ? 'b.txt a.txt' : 'a.txt b.txt';
    execFileSync('sh', ['-c', command(names)], { cwd: work, stdio: 'pipe' });
    return readFileSync(join(work, 'out'));
  });
}
