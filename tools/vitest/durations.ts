import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { proofs } from '@lkt/testing/remembered';

/** The longest durations of test files in milliseconds, by path in the checkout. */
export type Durations = Readonly<Record<string, number>>;

const path = (): string => join(proofs(), 'durations.json');

/** Returns the durations of former runs; none on a new machine. */
export function readDurations(): Durations {
  try {
    return JSON.parse(readFileSync(path(), 'utf8')) as Durations;
  } catch {
    return {};
  }
}

/**
 * Adds the durations of a run. A file whose parts are remembered may take seconds this time and
 * minutes the next: the longest counts.
 */
export function addDurations(durations: ReadonlyMap<string, number>): void {
  const known = readDurations();
  const added = [...durations].map(([file, took]) => [file, Math.max(took, known[file] ?? 0)]);
  mkdirSync(dirname(path()), { recursive: true });
  const written = `${path()}.${process.pid}`;
  writeFileSync(written, JSON.stringify({ ...known, ...Object.fromEntries(added) }));
  renameSync(written, path());
}
