import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LktError, ProgressEvent } from '@lkt/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BuildRequest, SecretSource } from '../../src/index.ts';
import { Redactor } from '../../src/secrets/redactor.ts';
import { SecretFinder } from '../../src/secrets/secret-finder.ts';
import { build, contextOf, leftovers, listing, scratch } from '../fixture.ts';

const directory = scratch();
const store = join(directory.path, 'store');
afterAll(() => directory[Symbol.dispose]());

const SECRET = 'hunter2+hunter2/hunter2';

function secrets(...values: readonly [string, string][]): Pick<BuildRequest, 'secrets'> {
  const given = values.map(([id, value]): [string, SecretSource] => [id, { kind: 'env', value }]);
  return { secrets: new Map(given) };
}

/** Reports whether any file below a directory contains the secret. */
function isKept(below: string): boolean {
  return spawnSync('grep', ['--recursive', '--quiet', '--text', SECRET, below]).status === 0;
}

test('keeps a secret in memory, for its command only, and stores it nowhere', async () => {
  const file = join(directory.path, 'secret');
  writeFileSync(file, `${SECRET}\n`);
  const events: ProgressEvent[] = [];
  const built = await build(
    store,
    `FROM base
RUN --mount=type=secret,id=one stat -c '%a %u:%g' /run/secrets/one; test $(wc -c < /run/secrets/one) = 24; grep -c '^tmpfs /run/secrets/one tmpfs ro' /proc/mounts
RUN test ! -e /run/secrets
RUN --mount=type=secret,id=one,target=/etc/deep/x,mode=0440,uid=5,gid=6 stat -c '%a %u:%g' /etc/deep/x; ! echo change > /etc/deep/x
RUN --mount=type=secret,id=two,env=TOKEN test "$TOKEN" = ${SECRET.length}-long && test ! -e /run/secrets
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
`,
    {
      secrets: new Map<string, SecretSource>([
        ['one', { kind: 'file', path: file }],
        ['two', { kind: 'env', value: `${SECRET.length}-long` }],
      ]),
      onEvent: (event) => events.push(event),
    },
  );
  expect(built.log).toMatch(/^400 0:0\n1\n440 5:6\n/);
  for (const index of [1, 2, 3, 4, 5]) expect(await listing(store, built, index)).toEqual([]);
  expect(isKept(store)).toBe(false);
  expect(JSON.stringify(events)).not.toContain(SECRET);
  expect(leftovers(store)).toEqual([]);
});

test('does not rerun a step for another secret, or for none', async () => {
  const text = 'FROM base\nRUN --mount=type=secret,id=key,required echo known\n';
  const first = await build(store, text, secrets(['key', SECRET]));
  const second = await build(store, text, secrets(['key', 'another secret']));
  expect(second.ran).toEqual([]);
  expect((await build(store, text)).diffIds).toEqual(first.diffIds);
});

test('hides a secret in the output, in whatever pieces it arrives', async () => {
  const text = `FROM base
RUN --mount=type=secret,id=key cat /run/secrets/key; s=$(cat /run/secrets/key); printf "%s" "$s" | head -c 9; sleep 0.3; printf "%s" "$s" | tail -c +10; echo; echo "$s" >&2; printf "%s" "$s" | od -An -c | head -1 >/dev/null; false
`;
  const events: ProgressEvent[] = [];
  const failing = build(store, text, {
    ...secrets(['key', SECRET]),
    onEvent: (event) => events.push(event),
  });
  const error = (await failing.catch((reason: unknown) => reason)) as LktError;
  expect(error).toMatchObject({ code: 'BUILD_FAILED', detail: '******\n***' });
  expect(JSON.stringify(events)).not.toContain('hunter2');
});

describe('rejects an image that would contain a secret', () => {
  test.each([
    ['cat /run/secrets/key > /d/file', '/d/file'],
    ['head -c 65530 /dev/zero > /d/far; cat /run/secrets/key >> /d/far', '/d/far'],
    ['base64 /run/secrets/key > /d/coded', '/d/coded'],
    [
      'printf ab > /tmp/x; cat /run/secrets/key >> /tmp/x; base64 /tmp/x > /d/coded; rm /tmp/x',
      '/d/coded',
    ],
    ['ln -s "$(cat /run/secrets/key)" /d/link', 'the target of the link /d/link'],
    ['mkdir -p "/d/$(base64 /run/secrets/key | tr / _ | tr + -)"', 'the name of a file in /d'],
  ])('%s', async (command, where) => {
    const text = `FROM base\nRUN --mount=type=secret,id=key mkdir -p /d; ${command}\n`;
    const failing = build(store, text, secrets(['key', SECRET]));
    await expect(failing).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining(
        `the secret "key" would be in the image, in ${where}, which RUN`,
      ) as string,
    });
    expect(isKept(store)).toBe(false);
  });

  test('in a file of the build context', async () => {
    using place = scratch();
    writeFileSync(join(place.path, 'copy'), `token=${SECRET}`);
    const text = 'FROM base\nRUN --mount=type=secret,id=key true\nCOPY copy /\n';
    const failing = build(store, text, {
      ...secrets(['key', SECRET]),
      context: contextOf(place.path),
    });
    await expect(failing).rejects.toThrow(
      'Dockerfile:3:1: the secret "key" would be in the image, in /copy',
    );
  });

  test('in its config', async () => {
    const text = `FROM base\nLABEL key="${SECRET}"\nRUN --mount=type=secret,id=key true && true\n`;
    await expect(build(store, text, secrets(['key', SECRET]))).rejects.toThrow(
      'the config of the image',
    );
  });

  test('accepts a short secret, which may occur by chance', async () => {
    const text = 'FROM base\nRUN --mount=type=secret,id=key cat /run/secrets/key > /short\n';
    const built = await build(store, text, secrets(['key', '1234567']));
    expect(await listing(store, built)).toEqual(['file 644 0:0 1492533000 short']);
  });
});

test.each([
  ['type=secret,id=key,required', 'the secret "key" is missing', '--secret id=key,src=FILE'],
  ['type=ssh,required', 'the SSH agent "default" is missing', '--ssh default'],
  ['type=ssh,id=work,required', 'the SSH agent "work" is missing', '--ssh work=SOCKET'],
])('reports a missing --mount=%s before any command runs', async (mount, message, fix) => {
  const events: ProgressEvent[] = [];
  const text = `FROM base\nRUN echo ${mount}\nRUN --mount=${mount} true\n`;
  const failing = build(store, text, { onEvent: (event) => events.push(event) });
  await expect(failing).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `Dockerfile:3:5: ${message}`,
    fix: expect.stringContaining(fix) as string,
  });
  expect(events).toEqual([]);
});

test('rejects a secret that a variable cannot hold', async () => {
  const text = 'FROM base\nRUN --mount=type=secret,id=key,env=KEY true\n';
  const failing = build(store, text, secrets(['key', 'with\0nul']));
  await expect(failing).rejects.toThrow('the variable KEY cannot hold it');
});

describe('SecretFinder', () => {
  const finder = new SecretFinder(new Map([['a', Buffer.from(`${SECRET}\n`)]]));
  test.each([0, 1, 2, 3, 4, 5])(
    'finds base64 of a secret after %i other bytes and before some',
    (before) => {
      for (const encoding of ['base64', 'base64url'] as const) {
        const bytes = Buffer.from(`${'?'.repeat(before)}${SECRET}~~`).toString(encoding);
        expect(finder.find(Buffer.from(bytes))).toBe('a');
      }
    },
  );
  test('finds nothing else', () => {
    expect(finder.find(Buffer.from(SECRET.slice(1)))).toBeUndefined();
    expect(finder.find(Buffer.alloc(0))).toBeUndefined();
    expect(new SecretFinder(new Map([['a', Buffer.from('\n\n')]])).isEmpty).toBe(true);
  });
  test('hides a secret that arrives in single characters', () => {
    const redactor = new Redactor(finder);
    const text = `a hunter hunter2+hunter2+ ${SECRET}, ${SECRET}${SECRET} hunt`;
    const shown = Array.from(text, (char) => redactor.add(char)).join('') + redactor.end();
    expect(shown).toBe('a hunter hunter2+hunter2+ ***, ****** hunt');
  });
});

/** Writes ssh-add, ssh-keygen and their libraries into a build context. */
function tools(place: string): void {
  for (const program of ['/usr/bin/ssh-add', '/usr/bin/ssh-keygen']) {
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' });
    for (const path of [program, ...(libraries.match(/\/\S+/g) ?? [])]) {
      mkdirSync(join(place, path, '..'), { recursive: true });
      execFileSync('cp', ['--dereference', path, join(place, path)]);
    }
  }
}

describe('an SSH agent', () => {
  const socket = join(directory.path, 'agent');
  const key = join(directory.path, 'id');
  let agent: ReturnType<typeof spawn>;
  beforeAll(async () => {
    agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 10));
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    execFileSync('ssh-add', ['-q', key], { env: { SSH_AUTH_SOCK: socket } });
  });
  afterAll(async () => {
    const ended = once(agent, 'exit');
    agent.kill();
    await ended;
  });

  test('signs for a command, and rejects its other requests', async () => {
    using place = scratch();
    tools(place.path);
    const built = await build(
      store,
      `FROM base
COPY . /
ENV PATH=/bin:/usr/bin
RUN --mount=type=ssh ssh-add -l | cut -d ' ' -f 2; echo $SSH_AUTH_SOCK; stat -c '%a %u:%g' $SSH_AUTH_SOCK; ssh-add -L > /tmp/key.pub; echo text > /tmp/text; ssh-keygen -q -Y sign -n test -f /tmp/key.pub /tmp/text && grep -c 'BEGIN SSH SIGNATURE' /tmp/text.sig; ssh-add -D || echo refused; ssh-add -x < /dev/null 2>&1 || echo refused
RUN test ! -e /run/buildkit && test -z "$SSH_AUTH_SOCK"
USER joe
RUN --mount=type=ssh,uid=1000,target=/tmp/agent ssh-add -l > /dev/null && echo joe
`,
      { context: contextOf(place.path), ssh: new Map([['default', socket]]) },
    );
    const fingerprint = execFileSync('ssh-keygen', ['-l', '-f', key], { encoding: 'utf8' });
    const lines = built.log.split('\n');
    expect(lines[0]).toBe(fingerprint.split(' ')[1]);
    expect(lines.slice(1, 3)).toEqual(['/run/buildkit/ssh_agent.0', '600 0:0']);
    expect(lines).toContain('1');
    expect(lines.filter((line) => line === 'refused')).toHaveLength(2);
    expect(lines).toContain('joe');
    expect(
      execFileSync('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: socket }, encoding: 'utf8' }),
    ).toContain('ED25519');
    expect(leftovers(store)).toEqual([]);
  });

  test('must have a socket', async () => {
    const text = 'FROM base\nRUN --mount=type=ssh true # again\n';
    const failing = build(store, text, { ssh: new Map([['default', key]]) });
    await expect(failing).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `${key} is not the socket of an SSH agent`,
    });
    expect(statSync(key).isFile()).toBe(true);
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
    expect(readFileSync(key, 'utf8')).toContain('OPENSSH');
  });
});
