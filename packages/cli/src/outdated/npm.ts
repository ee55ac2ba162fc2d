import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import packageJson from '../../package.json' with { type: 'json' };
import { parseNpm, runNpm } from '../session/npm.ts';
import type { Session } from '../session/session.ts';

/** An npm package with a newer version. */
export interface NewerNpm {
  readonly name: string;
  /** The installed version; without one, the newest that package.json allows. */
  readonly from: string;
  readonly to: string;
  /** The command that updates it. */
  readonly update: string;
}

/** The npm package with lkt itself. */
const OWN = '@lkt/cli';
/** The version of a checkout. */
const UNRELEASED = '0.0.0';

const VERSION = /^\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/;
const NAME = /^(?:@[\w.~-]+\/)?[\w.~-]+$/;

/** Retries once, soon, since nothing depends on the response. */
const RETRIES: readonly string[] = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000'];

/**
 * Returns the dependencies of a workspace's package.json with newer versions, and lkt itself. npm
 * asks the registry that its configuration names.
 * @param root directory of package.json
 * @param ignored names that are not reported, such as those of collections
 * @throws LktError TOOL_MISSING, NOT_FOUND, NETWORK_FAILED
 */
export async function newerNpm(
  session: Session,
  root: string,
  ignored: ReadonlySet<string>,
): Promise<readonly NewerNpm[]> {
  const found = existsSync(join(root, 'package.json'))
    ? await newerDependencies(session, root)
    : [];
  const own = await newerLkt(session, root, found);
  return [...found, ...own].filter(({ name }) => !ignored.has(name));
}

async function newerDependencies(session: Session, root: string): Promise<readonly NewerNpm[]> {
  // npm ends with 1 if something is outdated, and if it failed.
  const output = await runNpm(session, root, ['outdated', '--json', ...RETRIES], [0, 1]);
  const listed = record(parseNpm(output, 'the dependencies of package.json'));
  const { error } = listed;
  if (error !== undefined) {
    const { summary, code } = record(error);
    throw new LktError('NETWORK_FAILED', `npm outdated failed: ${text(summary ?? code)}`);
  }
  return Object.entries(listed)
    .flatMap(([name, entry]) => newerOf(name, entry))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** @param entry of one dependent, or a list of several */
function newerOf(name: string, entry: unknown): readonly NewerNpm[] {
  const [first] = Array.isArray(entry) ? (entry as readonly unknown[]) : [entry];
  const { current, wanted, latest } = record(first);
  const from = current ?? wanted;
  // A dependency from git or a directory has no versions.
  if (!NAME.test(name) || !isVersion(from) || !isVersion(latest) || from === latest) return [];
  const update = wanted === latest ? `npm update ${name}` : `npm install ${name}@${latest}`;
  return [{ name, from, to: latest, update }];
}

/** Returns the newest release of lkt, if this is another one that is no dependency. */
async function newerLkt(
  session: Session,
  root: string,
  listed: readonly NewerNpm[],
): Promise<readonly NewerNpm[]> {
  const { version } = packageJson;
  if (version === UNRELEASED || listed.some(({ name }) => name === OWN)) return [];
  const latest = parseNpm(
    await runNpm(session, root, ['view', OWN, 'version', '--json', ...RETRIES]),
    OWN,
  );
  if (!isVersion(latest) || latest === version) return [];
  return [
    { name: OWN, from: version, to: latest, update: `npm install --global ${OWN}@${latest}` },
  ];
}

function isVersion(value: unknown): value is string {
  return typeof value === 'string' && VERSION.test(value);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : 'without a reason';
}
