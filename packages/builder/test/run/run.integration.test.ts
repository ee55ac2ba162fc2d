import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { LktError } from '@lkt/core';
import { afterAll, describe, expect, test } from 'vitest';
import { keepOpen } from '../../src/system/syscalls.ts';
import { build, contextOf, leftovers, listing, scratch } from '../fixture.ts';

// One store for all tests: the base is unpacked once.
const directory = scratch();
const store = join(directory.path, 'store');
afterAll(() => directory[Symbol.dispose]());

/** Returns the output of a command. */
async function said(command: string, before = ''): Promise<string> {
  return (await build(store, `FROM base\n${before}\nRUN ${command}\n`)).log;
}

async function failure(text: string, options: Parameters<typeof build>[2] = {}): Promise<LktError> {
  const error: unknown = await build(store, text, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LktError);
  return error as LktError;
}

test('has a working loopback interface and no other', async () => {
  const log = await said('ip -o link && ip -o addr && grep -c : /proc/net/dev');
  expect(log).toMatch(/^1: lo: <LOOPBACK,UP,LOWER_UP>/);
  expect(log).toContain('inet 127.0.0.1/8');
  expect(log).toMatch(/\n1\n$/);
});

test('has the same environment, host name, umask, limits, directory and processes everywhere', async () => {
  const log = await said(
    'env | sort; hostname; umask; pwd; ulimit -n -c; echo $$; readlink /proc/self/fd/0; ls /proc/self/fd | wc -l',
    'ENV A=1\nARG B=2\nWORKDIR /w',
  );
  expect(log.split('\n')).toEqual([
    'A=1',
    'B=2',
    'HOME=/root',
    'PATH=/bin',
    'PWD=/w',
    'SHLVL=1',
    'SOURCE_DATE_EPOCH=1492533000',
    'lkt',
    '0022',
    '/w',
    expect.stringMatching(/open files.* 1024$/) as string,
    expect.stringMatching(/core file.* 0$/) as string,
    '1',
    '/dev/null',
    // The three, and the one that reads the directory.
    '4',
    '',
  ]);
});

test("has Docker's capabilities and system call filter, and ignores no signal", async () => {
  const log = await said(
    '["grep", "-E", "^(Cap(Prm|Eff|Bnd|Inh|Amb)|NoNewPrivs|SigIgn|SigBlk|Seccomp:)", "/proc/self/status"]',
  );
  expect(log.replaceAll('\t', ' ').trim().split('\n').toSorted()).toEqual([
    'CapAmb: 0000000000000000',
    'CapBnd: 00000000a80425fb',
    'CapEff: 00000000a80425fb',
    'CapInh: 0000000000000000',
    'CapPrm: 00000000a80425fb',
    'NoNewPrivs: 0',
    'Seccomp: 2',
    'SigBlk: 0000000000000000',
    'SigIgn: 0000000000000000',
  ]);
});

test.each([
  ['mount -t tmpfs none /tmp', 'mounting'],
  ['echo 1 > /proc/sys/kernel/sysrq', 'sysrq'],
  ['echo c > /proc/sysrq-trigger', 'sysrq-trigger'],
  ['mkdir /sys/x', 'sys'],
  ['umount /proc/keys', 'a masked path'],
  ['hostname other', 'the host name'],
  ['ls /proc/1/root/../../../home', 'the host'],
])('forbids %s (%s)', async (command) => {
  const error = await failure(`FROM base\nRUN ${command}\n`);
  expect(error.code).toBe('BUILD_FAILED');
  expect(error.detail).toMatch(
    /Read-only|[Pp]ermission|not permitted|No such file|nonexistent directory/,
  );
});

test('hides kernel files that reveal too much', async () => {
  expect(await said('cat /proc/keys /proc/timer_list; ls /sys/firmware')).toBe('');
});

test('has a working /dev with what programs need', async () => {
  const log = await said(
    'cat /dev/null; head -c 2 /dev/zero | wc -c; head -c 2 /dev/urandom | wc -c; echo out > /dev/stdout; echo err > /dev/stderr; touch /dev/shm/x; ls /dev',
  );
  expect(log.trim().split('\n')).toEqual([
    '2',
    '2',
    'out',
    'err',
    'fd',
    'full',
    'null',
    'ptmx',
    'pts',
    'random',
    'shm',
    'stderr',
    'stdin',
    'stdout',
    'tty',
    'urandom',
    'zero',
  ]);
});

test('cannot open a device that it makes', async () => {
  const { log } = await build(
    store,
    `FROM base
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/memory \\
    for place in / /tmp /dev /dev/shm /cache /memory; do \\
      mknod $place/own c 1 5 && ! head -c 1 $place/own || exit 1; rm $place/own; done 2>&1
`,
  );
  expect(log.match(/Permission denied/g)).toHaveLength(6);
});

test('hides the layers from other users', async () => {
  await said('true');
  const [owner = ''] = readdirSync(join(store, 'layers'));
  expect(statSync(join(store, 'layers', owner)).mode & 0o777).toBe(0o700);
});

test('shows standard output and standard error in their order', async () => {
  const log = await said('for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done');
  expect(log).toBe([1, 2, 3, 4, 5].map((i) => `out ${i}\nerr ${i}\n`).join(''));
});

test('blocks a command whose output is not read yet', async () => {
  const log = await said('head -c 3000000 /dev/zero | tr "\\\\0" y; echo end $?');
  expect(log.length).toBe(3_000_006);
  expect(log.slice(-6)).toBe('end 0\n');
});

test('shows a command the times that the image will have', async () => {
  using source = scratch();
  writeFileSync(join(source.path, 'file'), 'x');
  const { log } = await build(
    store,
    `FROM base AS first
RUN echo x > /made && mkdir /dir && echo y > /dir/y && touch -d '2001-01-01 00:00:00' /old
RUN mkdir /before && touch -d '1960-01-01 00:00:00' /before/1970 /before
FROM first
COPY file /
COPY --from=first /before /copied
RUN stat -c '%n %Y' /made /dir /dir/y /old /file /before /before/1970 /copied/1970
`,
    { context: contextOf(source.path) },
  );
  expect(log.trim().split('\n')).toEqual([
    '/made 1492533000',
    '/dir 1492533000',
    '/dir/y 1492533000',
    '/old 978307200',
    '/file 1492533000',
    '/before -315619200',
    '/before/1970 -315619200',
    '/copied/1970 -315619200',
  ]);
});

test('leaves no trace of mounts in the layer', async () => {
  const built = await build(
    store,
    `FROM base AS other
RUN mkdir /tree && echo text > /tree/file
FROM base
RUN --mount=type=bind,from=other,source=/tree,target=/mnt/deep/tree \\
    --mount=type=tmpfs,target=/mnt/memory \\
    --mount=type=cache,target=/var/cache/x \\
    --mount=type=bind,from=other,source=/tree/file,target=/etc/file \\
    cat /mnt/deep/tree/file /etc/file; touch /mnt/memory/x /var/cache/x/y; ls /var/cache/x; echo a > /kept; echo b > /mnt/deep/tree/file
`,
  ).catch((error: unknown) => error);
  expect(built).toMatchObject({
    code: 'BUILD_FAILED',
    detail: expect.stringContaining('Read-only') as string,
  });
  const good = await build(
    store,
    `FROM base AS other
RUN mkdir /tree && echo text > /tree/file
FROM base
RUN --mount=type=bind,from=other,source=/tree,target=/mnt/deep/tree \\
    --mount=type=tmpfs,target=/mnt/memory \\
    --mount=type=cache,target=/var/cache/x \\
    --mount=type=bind,from=other,source=/tree/file,target=/etc/file \\
    --mount=type=bind,from=other,source=/tree,target=/own,rw \\
    cat /mnt/deep/tree/file /etc/file; touch /mnt/memory/x; ls /var/cache/x; echo a > /kept; echo b > /own/file
`,
  );
  expect(good.log).toBe('text\ntext\ny\n');
  expect(await listing(store, good)).toEqual(['file 644 0:0 1492533000 kept']);
});

describe('a mount inside another', () => {
  const TREE = `FROM base AS tree
RUN mkdir -p /tree/sub/deep && echo text > /tree/sub/file && ln -s sub /tree/way && ln -s /etc /tree/out
`;
  const run = (mounts: readonly string[], command: string): string =>
    `${TREE}FROM base\nRUN ${mounts.map((mount) => `--mount=${mount}`).join(' ')} ${command}\n`;

  test.each(['init', 'bwrap', 'runc', 'crun'])(
    'works and leaves no trace: %s',
    async (executor) => {
      const mounts = [
        'type=tmpfs,target=/t/way/new/x',
        'type=cache,target=/t/sub/deep,id=nested',
        'type=bind,from=tree,source=/tree,target=/t,rw',
        'type=tmpfs,target=/m',
        'type=bind,from=tree,source=/tree/sub,target=/m/a/b',
        'type=bind,from=tree,source=/tree/sub/file,target=/m/file',
        'type=bind,from=tree,source=/tree,target=/r',
        'type=tmpfs,target=/r/way',
      ];
      const script =
        'cat /t/sub/file /m/a/b/file /m/file; touch /r/sub/x /t/sub/new/x/y /m/z && ls /r/way /t/sub; ! touch /m/a/b/x 2>/dev/null; grep -c " /[tmr]/" /proc/self/mounts; echo a > /kept';
      const built = await build(store, run(mounts, `${script} # ${executor}`), { executor });
      expect(built.log).toBe('text\ntext\ntext\n/r/way:\nx\n\n/t/sub:\ndeep\nfile\nnew\n5\n');
      expect(await listing(store, built)).toEqual(['file 644 0:0 1492533000 kept']);
      const after = await build(store, `${TREE}RUN find /tree | sort # ${executor}\n`);
      expect(after.log).not.toContain('new');
    },
  );

  test.each(['init', 'bwrap', 'runc', 'crun'])('may be below /dev: %s', async (executor) => {
    const mounts = ['type=tmpfs,target=/dev/shm,size=1m', 'type=tmpfs,target=/dev/mine/deep'];
    const script = `grep -c "size=1024k" /proc/self/mounts; touch /dev/mine/deep/x && test -c /dev/null # ${executor}`;
    const built = await build(store, run(mounts, script), { executor });
    expect(built.log).toBe('1\n');
    expect(await listing(store, built)).toEqual([]);
  });

  test.each([
    [
      ['bind,from=tree,source=/tree,target=/t', 'tmpfs,target=/t/none'],
      /\/t\/none does not exist, and \/t is mounted read-only$/m,
    ],
    [['cache,target=/c', 'tmpfs,target=/c/d'], /\/c\/d is inside another mount, \/c$/m],
    [
      ['tmpfs,target=/m', 'bind,from=tree,source=/tree,target=/m/t', 'tmpfs,target=/m/t/out/x'],
      /\/m\/t\/out\/x is inside another mount, \/m\/t$/m,
    ],
    [['tmpfs,target=/m', 'cache,target=/m'], /\/m is inside another mount, \/m$/m],
    [['tmpfs,target=/dev/pts'], /\/dev\/pts is inside another mount, \/dev\/pts$/m],
    [['tmpfs,target=/dev/fd/x'], /\/dev\/fd\/x is inside another mount, \/dev\/fd$/m],
    [['tmpfs,target=/proc/x'], /\/proc\/x is inside another mount, \/proc$/m],
  ])('rejects %j', async (mounts, message) => {
    const error = await failure(
      run(
        mounts.map((mount) => `type=${mount}`),
        'true',
      ),
    );
    expect(error).toMatchObject({ code: 'BUILD_FAILED' });
    expect(error.message).toMatch(message);
  });

  test('is below the outer mount, also through links', async () => {
    const mounts = ['type=bind,from=tree,source=/tree,target=/t,rw', 'type=tmpfs,target=/t/out/x'];
    const { log } = await build(store, run(mounts, 'grep -o " /t/.* tmpfs" /proc/self/mounts'));
    expect(log).toBe(' /t/etc/x tmpfs\n');
  });
});

test.each(['bind,from=evil,source=/way,target=/m', 'tmpfs,target=/way'])(
  'follows no name of an image out of it: --mount=type=%s',
  async (mount) => {
    using outside = scratch();
    writeFileSync(join(outside.path, 'secret'), 'secret');
    // A byte that is not UTF-8, and a link with the name that it has as text.
    const evil = `RUN cd / && d=$(printf '\\377') && mkdir $d && ln -s $d way && ln -s ${outside.path} $(printf '\\357\\277\\275')`;
    const error = await failure(
      `FROM base AS evil\n${evil}\nFROM evil\nRUN --mount=type=${mount} cat /m/secret; false\n`,
    );
    expect(error.message).toMatch(/\/way leads to a name that is not UTF-8/);
  },
);

describe('descriptors that the caller left open', () => {
  const outside = scratch();
  writeFileSync(join(outside.path, 'secret'), 'secret');
  // Node closes the first ones that it inherits, up to a gap.
  const open = Array.from({ length: 100 }, () => openSync(outside.path, 'r'));
  const last = open.at(-1) ?? 0;
  keepOpen(last, true);
  afterAll(() => {
    for (const descriptor of open) closeSync(descriptor);
    outside[Symbol.dispose]();
  });

  test('are no working directory', async () => {
    const path = `/proc/self/fd/${last}`;
    const error = await failure(`FROM base\nWORKDIR ${path}\nRUN cat secret; false\n`);
    expect(error.message).toContain(`cannot enter the working directory ${path}`);
  });

  test.each(['init', 'bwrap', 'runc', 'crun'])('are closed by %s', async (executor) => {
    const command = `: ${executor}; ls /proc/self/fd; cat /proc/self/fd/*/secret`;
    const { log } = await build(store, `FROM base\nRUN ${command} || true\n`, { executor });
    // The last one reads the directory.
    expect(log).toMatch(/^0\n1\n2\n3\ncat: [^\n]*\n$/);
  });
});

test('prevents a command from changing the program of the sandbox', async () => {
  using source = scratch();
  const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' });
  for (const [path] of libraries.matchAll(/\/\S+/g)) {
    mkdirSync(join(source.path, dirname(path)), { recursive: true });
    copyFileSync(path, join(source.path, path));
  }
  const script = `try { fs.chmodSync("/proc/self/exe", ${statSync(process.execPath).mode & 0o7777}) } catch (e) { console.log(e.code) }`;
  const command = JSON.stringify(['/proc/self/exe', '-e', script]);
  const { log } = await build(store, `FROM base\nCOPY . /\nRUN ${command}\n`, {
    context: contextOf(source.path),
  });
  expect(log).toBe('EROFS\n');
});

test('reports directories nested too deep for a path, and removes them', async () => {
  const deep = 'i=0; while [ $i -lt 1000 ]; do mkdir abcd && cd abcd; i=$((i+1)); done';
  const error = await failure(`FROM base\nRUN ${deep}\n`);
  expect(error).toMatchObject({
    code: 'BUILD_FAILED',
    message: expect.stringContaining('the path of a file is too long') as unknown,
  });
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
});

test('reads accounts only from regular files: a pipe would block the build', async () => {
  const built = await build(
    store,
    'FROM base\nRUN rm /etc/passwd && mkfifo /etc/passwd\nWORKDIR /x\nRUN echo fine\n',
  );
  expect(built.log).toBe('fine\n');
});

test('mounts the context as it would be copied', async () => {
  using source = scratch();
  mkdirSync(join(source.path, 'dir'));
  writeFileSync(join(source.path, 'dir', 'file'), 'x', { mode: 0o600 });
  const text = 'FROM base\nRUN --mount=type=bind,target=/src stat -c "%n %a %u %Y" /src/dir/file\n';
  const { log } = await build(store, text, { context: contextOf(source.path) });
  expect(log).toBe('/src/dir/file 644 0 1492533000\n');
  writeFileSync(join(source.path, 'dir', 'file'), 'y');
  const again = await build(store, text, { context: contextOf(source.path) });
  expect(again.cached).toEqual([]);
});

test('runs a script of the Dockerfile with its own interpreter', async () => {
  const log = await said('<<EOF\n#!/bin/cat\nsome text\nEOF');
  expect(log).toBe('#!/bin/cat\nsome text\n');
});

test('runs the exec form without a shell', async () => {
  expect(await said('["printf", "%s|", "a b", "$HOME"]')).toBe('a b|$HOME|');
});

test('reports a failing command with its position and the end of its output', async () => {
  const error = await failure(
    'FROM base\n\nRUN for i in $(seq 1 100); do echo line $i; done; exit 3\n',
  );
  expect(error.code).toBe('BUILD_FAILED');
  expect(error.message).toBe(
    'Dockerfile:3:1: RUN for i in $(seq 1 100); do echo line $i; done; exit 3: the command ended with status 3',
  );
  const lines = error.detail?.split('\n') ?? [];
  expect(lines).toHaveLength(40);
  expect(lines.at(-1)).toBe('line 100');
});

test.each([
  ['RUN sh -c "kill -9 \\$\\$"; exit $?', /status 137/],
  ['RUN ["/missing"]', /status 127/],
  ['RUN ["/etc/passwd"]', /status 127/],
  ['USER nobody-knows\nRUN true', /no user or group "nobody-knows"/],
])('%s', async (text, message) => {
  expect((await failure(`FROM base\n${text}\n`)).message).toMatch(message);
});

test.each([
  ['RUN --network=host true', /network: true/],
  ['RUN --security=insecure true', /insecure is not supported/],
])('rejects %s before any command runs', async (line, message) => {
  const error = await failure(`FROM base\nRUN false\n${line}\n`);
  expect(error.code).toBe('UNSUPPORTED');
  expect(`${error.message} ${error.fix}`).toMatch(message);
});

function seeded(seed: string, command: string): string {
  return [
    'FROM base AS seed',
    `RUN mkdir -p /s/d && echo ${seed} > /s/d/file && ln -s file /s/d/link`,
    'FROM base',
    `RUN --mount=type=cache,id=x,from=seed,source=/s/d,target=/c ${command}`,
  ].join('\n');
}

test('fills a cache from a stage, and keeps added files', async () => {
  using place = scratch();
  const first = await build(place.path, seeded('one', 'cat /c/link; echo more >> /c/file'));
  expect(first.log).toBe('one\n');
  const second = await build(place.path, seeded('one', 'cat /c/file'));
  expect(second.log).toBe('one\nmore\n');
  // Other content makes another cache, and reruns the step.
  const other = await build(place.path, seeded('two', 'cat /c/file'));
  expect(other.log).toBe('two\n');
  const missing = seeded('two', 'true').replace('/s/d,', '/none,');
  await expect(build(place.path, missing)).rejects.toMatchObject({
    message: expect.stringMatching(
      /^Dockerfile:4:\d+: \/none does not exist in the image/,
    ) as string,
  });
});

test('shares a cache within one scope, or not at all', async () => {
  using place = scratch();
  const mount = 'FROM base\nRUN --mount=type=cache,id=x,target=/c';
  const listed = async (cacheScope: string | undefined, name: string): Promise<string> => {
    const text = `${mount} ls /c; touch /c/${name}\n`;
    const { log } = await build(place.path, text, cacheScope === undefined ? {} : { cacheScope });
    return log;
  };
  expect(await listed('/one', 'a')).toBe('');
  expect(await listed('/two', 'b')).toBe('');
  expect(await listed(undefined, 'c')).toBe('');
  expect(await listed('/one', 'd')).toBe('a\n');
  const text = `${mount} ls /c; touch /c/e\nRUN --mount=type=cache,id=x,target=/c ls /c\n`;
  const empty = { cacheScope: '/one', emptyCaches: true, noCache: true };
  expect((await build(place.path, text, empty)).log).toBe('e\n');
  expect(await listed('/one', 'f')).toBe('a\nd\n');
});

function fill(options: string): string {
  const mount = `--mount=type=cache,target=/c,${options}`;
  return `FROM base\nRUN ${mount} touch /c/file\nRUN ${mount} ls /c; stat -c %a /c\n`;
}

test('reruns a step that fills another cache', async () => {
  using place = scratch();
  expect((await build(place.path, fill('id=x'))).log).toBe('file\n755\n');
  expect((await build(place.path, fill('id=y'))).log).toBe('file\n755\n');
  expect((await build(place.path, fill('id=y,mode=0700'))).log).toBe('file\n700\n');
});

test('leaves no process and no file when it is aborted', async () => {
  const abort = new AbortController();
  const building = build(store, 'FROM base\nRUN echo begun; (setsid sleep 987 &); sleep 987\n', {
    signal: abort.signal,
    onEvent: (event) => {
      if (event.kind === 'log') abort.abort(new LktError('INTERRUPTED', 'stopped'));
    },
  });
  await expect(building).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(leftovers(store)).toEqual([]);
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
});

test('ends the processes that a command leaves behind', async () => {
  await said('(setsid sleep 986 &) ; true');
  expect(leftovers(store)).toEqual([]);
});

test.each(['init', 'bwrap', 'runc', 'crun'])(
  'runs with %s in a session of its own, so that kill 0 ends only the command',
  async (executor) => {
    const command = `trap 'kill 0' EXIT; sleep 986 & echo said; exit 0 # ${executor}`;
    const { log } = await build(store, `FROM base\nRUN ${command}\n`, { executor });
    expect(log).toBe('said\n');
  },
);

test('reports a missing executor before any command runs', async () => {
  const error = await failure('FROM base\nRUN false\n', { executor: 'youki' });
  expect(error).toMatchObject({ code: 'TOOL_MISSING', fix: expect.stringContaining('youki') });
});

test.each(['runc', 'crun'])(
  'reports with %s why a command cannot start, and how it ended',
  async (executor) => {
    const missing = await failure('FROM base\nRUN ["/missing"]\n', { executor });
    expect(missing.message).toMatch(/^Dockerfile:2:1: RUN .* cannot be started: .*\/missing/);
    expect(missing.code).toBe('BUILD_FAILED');
    const ended = await failure('FROM base\nRUN echo why; exit 3\n', { executor });
    expect(ended).toMatchObject({ message: expect.stringMatching(/status 3$/), detail: 'why' });
  },
);
