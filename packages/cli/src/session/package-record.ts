import type { Session } from './session.ts';
import { commandRecordPath } from './command-record.ts';

/** What only a build that has something to do asks for is here too: a record is of one that had nothing to do. */
const KNOWN: ReadonlySet<string> = new Set([
  'all',
  'build-arg',
  'cache',
  'cpus',
  'deps',
  'dev',
  'hash',
  'jobs',
  'max-memory',
  'max-output',
  'max-processes',
  'max-time',
  'offline',
  'org',
  'platforms',
  'skip-platforms',
  'tag',
]);

/** Where the record of a build of packages is; undefined for one that has none. */
export function packageRecordPath(
  session: Session,
  { dir = [] }: { readonly dir?: readonly string[] | undefined },
  flags: Readonly<Record<string, unknown>>,
): string | undefined {
  return commandRecordPath(session, {
    area: 'results',
    name: 'packages',
    words: dir,
    flags,
    known: KNOWN,
  });
}

/** What the same build gave, if doing it again would change nothing. */
export async function unchangedPackages<Result>(
  path: string,
  { environment, reporter }: Session,
): Promise<Result | undefined> {
  const { findRecord } = await import('@lkt/pkg/record');
  const found = findRecord<Result>(path, environment.variables);
  for (const event of found?.events ?? []) reporter.emit(event);
  return found?.result;
}
