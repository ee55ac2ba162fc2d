import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Session } from '../session/session.ts';
import type { Check } from './check.ts';

const TIMEOUT_MS = 10_000;

/**
 * Returns the version that a program prints; undefined if it does not run.
 * @param pattern a group has the version
 */
export function versionOf(
  { environment }: Session,
  program: string,
  args: readonly string[],
  pattern: RegExp = /(\d+\.\d+(?:\.\d+)*)/,
): string | undefined {
  const { error, stdout, stderr } = spawnSync(program, args, {
    env: environment.variables,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  if (error !== undefined) return undefined;
  return pattern.exec(stdout + stderr)?.[1] ?? 'of an unknown version';
}

const KEYRING = '/usr/share/keyrings/debian-archive-keyring';

/** The programs that lkt starts. */
export const programChecks: readonly Check[] = [
  {
    name: 'node',
    run: () => ({ state: 'ok', text: `${process.versions.node}, ${process.execPath}` }),
  },
  {
    name: 'git',
    run(session) {
      const version = versionOf(session, 'git', ['--version']);
      return version === undefined
        ? {
            state: 'fail',
            text: 'not installed; packages have their hashes from git',
            fix: 'apt-get install git',
          }
        : { state: 'ok', text: version };
    },
  },
  {
    name: 'gpgv',
    run(session) {
      const version = versionOf(session, 'gpgv', ['--version']);
      const missing = [
        ...(version === undefined ? ['gpgv'] : []),
        ...(['pgp', 'gpg'].some((ending) => existsSync(`${KEYRING}.${ending}`))
          ? []
          : ['debian-archive-keyring']),
      ];
      return missing.length === 0
        ? { state: 'ok', text: `${version ?? ''}, with Debian's keyring` }
        : {
            state: 'warn',
            text: `${missing.join(' and ')} not installed; Debian packages cannot be locked or updated`,
            fix: `apt-get install ${missing.join(' ')}`,
          };
    },
  },
  {
    name: 'cosign',
    run(session) {
      const version = versionOf(session, 'cosign', ['version'], /^GitVersion:\s+v?(\S+)/m);
      return { state: 'ok', text: version ?? 'not installed; lkt needs none' };
    },
  },
];
