import { statSync } from 'node:fs';
import { isErrno, LktError } from '@lkt/core';
import { trustedRootSetting } from '../session/environment.ts';
import type { Session } from '../session/session.ts';
import type { Check } from './check.ts';

/** A time that is past, whatever the clock says. */
interface Past {
  readonly what: string;
  readonly time: Date;
}

/** Maximum plausible difference between the clocks of machines. */
const MARGIN_MS = 60 * 60 * 1000;

/** Compares the clock with times that are past, without a network. */
export const clockCheck: Check = {
  name: 'clock',
  async run(session) {
    const now = new Date();
    const { root, expires } = await trustedRoot(session);
    const known = [await newestCommit(session), root, certificates()].filter(
      (past) => past !== undefined,
    );
    const ahead = known.find(({ time }) => time.getTime() > now.getTime() + MARGIN_MS);
    if (ahead !== undefined)
      return {
        state: 'fail',
        text: `${shown(now)} is before ${ahead.what}, ${shown(ahead.time)}; certificates and signatures will be refused`,
        fix: 'set the clock: timedatectl set-ntp true',
      };
    if (expires !== undefined && expires.getTime() < now.getTime())
      return {
        state: 'warn',
        text: `${shown(now)}; the trusted root expired on ${shown(expires)}`,
        fix: 'lkt trust update',
      };
    const after = known.map(({ what }) => what).join(', ');
    return { state: 'ok', text: `${shown(now)}${after === '' ? '' : `, after ${after}`}` };
  },
};

async function newestCommit({ environment }: Session): Promise<Past | undefined> {
  const { createGit, findTop } = await import('@lkt/git');
  const git = createGit(environment.variables);
  try {
    const top = await findTop(git, environment.cwd);
    if (top === undefined) return undefined;
    const log = ['log', '-1', '--format=%ct', '--all'];
    const { stdout } = await git.run(top, log, { exits: [128] });
    const seconds = Number(stdout.trim());
    return seconds > 0 ? { what: 'the newest commit', time: new Date(seconds * 1000) } : undefined;
  } catch (error) {
    // Another check reports a missing git; this user may have no access to the directory.
    if (error instanceof LktError || isErrno(error, 'EACCES')) return undefined;
    throw error;
  }
}

async function trustedRoot({
  environment,
}: Session): Promise<{ readonly root?: Past; readonly expires?: Date }> {
  const { value } = trustedRootSetting(undefined, environment);
  if (value === '') return {};
  const { readTrustedRoot } = await import('@lkt/sign');
  const { record } = await readTrustedRoot(value, value);
  if (record === undefined) return {};
  const root = { what: 'the trusted root', time: new Date(record.fetched) };
  return { root, expires: new Date(record.expires) };
}

/** The distribution's certificate authorities are not newer than its last update. */
function certificates(): Past | undefined {
  const { mtime } = statSync('/etc/ssl/certs/ca-certificates.crt', { throwIfNoEntry: false }) ?? {};
  return mtime && { what: "the system's certificates", time: mtime };
}

function shown(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
