import { type Digest, digestOf } from '@lkt/core';
import type { OwnCase } from '../own-case.ts';

/** Addresses and digests that the cases name. */
export interface Sources {
  /** Address of a server with `/file`, `/old` with an old time, and `/archive.tgz`. */
  readonly files: string;
  readonly file: Digest;
  readonly archive: Digest;
  /** Address of a server with the repositories `project` and `whole`, whose `part` is the first. */
  readonly repositories: string;
  readonly commits: Readonly<Record<'first' | 'second' | 'whole', string>>;
}

const STAT = 'stat -c "%a %u %g"';
const on = (name: string, ...lines: readonly string[]): OwnCase => ({
  name,
  dockerfile: ['FROM base', ...lines],
});
/** A RUN with the secret that the build has. */
const secret = (name: string, options: string, command: string): OwnCase =>
  on(name, `RUN --mount=type=secret,id=given${options} ${command}`);
const timed = (item: OwnCase, path: string): OwnCase => ({
  ...item,
  expect: { divergence: 'times of URLs', files: [path] },
});

/** ADD from servers, and secrets and agents. BuildKit fetches and mounts them by itself. */
export function sourceCases(from: Sources): readonly OwnCase[] {
  const sum = `--checksum=${from.file}`;
  const { commits } = from;
  const project = (fragment: string): string => `${from.repositories}/project#${fragment}`;
  return [
    timed(on('a file by URL', `ADD ${sum} ${from.files}/file /d/`), 'd/file'),
    timed(on('a file by URL to a name', `ADD ${sum} ${from.files}/file /name`), 'name'),
    timed(on('an old file by URL', `ADD ${sum} ${from.files}/old /d/`), 'd/old'),
    timed(
      on('an owner and a mode', `ADD --chown=5:bin --chmod=755 ${sum} ${from.files}/file /d/`),
      'd/file',
    ),
    timed(on('an existing directory', `ADD ${sum} ${from.files}/file /tmp`), 'tmp/file'),
    timed(
      on('an archive by URL', `ADD --checksum=${from.archive} ${from.files}/archive.tgz /d/`),
      'd/archive.tgz',
    ),
    on('a repository', `ADD ${project(commits.first)} /d`),
    on(
      'a repository over files',
      'RUN mkdir -m 700 -p /d/src && echo 1 > /d/README',
      `ADD ${project(commits.first)} /d`,
    ),
    on('a directory of a repository', `ADD ${project(`${commits.second}:src`)} /d/`),
    on(
      'a repository with an owner and a mode',
      `ADD --chown=5:6 --chmod=750 ${project(commits.second)} /d/`,
    ),
    {
      ...on('a repository with a submodule', `ADD ${from.repositories}/whole#${commits.whole} /d`),
      expect: { divergence: 'links of submodules', files: ['d/part/.git'] },
    },
    secret('a secret', '', `${STAT} /run/secrets/given > /f; wc -c < /run/secrets/given >> /f`),
    secret('the directory of secrets', '', `${STAT} /run/secrets > /f; ls /run/secrets >> /f`),
    secret('owner and mode', ',uid=5,gid=6,mode=0440', `${STAT} /run/secrets/given > /f`),
    secret('a target', ',target=/etc/x/given', `${STAT} /etc/x/given > /f`),
    secret('a relative target', ',target=sub/given', 'find / -name given > /f'),
    on('no id', `RUN --mount=type=secret,target=/etc/given ${STAT} /etc/given > /f`),
    secret('a secret over a file', ',target=/etc/passwd', 'wc -c < /etc/passwd > /f'),
    secret('a secret is read-only', '', 'echo x > /run/secrets/given || echo no > /f'),
    on(
      'a secret of another user',
      'USER bin',
      'WORKDIR /w',
      'RUN --mount=type=secret,id=given cat /run/secrets/given > /w/f || echo no > /w/f',
    ),
    secret('two secrets', ' --mount=type=secret,id=other', 'ls /run/secrets > /f'),
    on('an agent', `RUN --mount=type=ssh (echo $SSH_AUTH_SOCK; ${STAT} $SSH_AUTH_SOCK) > /f`),
    on(
      'an agent with an owner, a mode and a target',
      `RUN --mount=type=ssh,uid=5,gid=6,mode=0660,target=/a/b (echo $SSH_AUTH_SOCK; ${STAT} /a/b) > /f`,
    ),
    on(
      'an agent for a user',
      'USER bin',
      'WORKDIR /w',
      'RUN --mount=type=ssh test -w $SSH_AUTH_SOCK; echo $? > /w/f',
    ),
    on(
      'two agents',
      'RUN --mount=type=ssh --mount=type=ssh,id=default,target=/b test -S /b && echo $SSH_AUTH_SOCK > /f',
    ),
  ];
}

/** The cases without servers, for their names and divergences. */
export const SOURCE_CASES: readonly OwnCase[] = sourceCases({
  files: '',
  file: digestOf(''),
  archive: digestOf(''),
  repositories: '',
  commits: { first: '', second: '', whole: '' },
});
