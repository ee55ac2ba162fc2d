import type { OwnCase } from '../own-case.ts';

const FILES = { 'a.txt': 'a\n', 'd/b': 'b\n' } as const;
const LINKS = {
  ...FILES,
  link: { link: 'd' },
  far: { link: './link' },
  'd/self': { link: '.' },
  absolute: { link: '/d/b' },
  gone: { link: 'none' },
} as const;
const linked = (name: string, source: string, command: string): OwnCase => ({
  name,
  dockerfile: ['FROM base', `RUN --mount=source=${source},target=/m ${command}`],
  context: LINKS,
});
const on = (name: string, ...lines: readonly string[]): OwnCase => ({
  name,
  dockerfile: ['FROM base', ...lines],
  context: FILES,
});
const asUser = (name: string, user: string, mount: string): OwnCase => ({
  name,
  dockerfile: [
    'FROM base AS s',
    'RUN mkdir /o && echo "bin:x:7:8::/mine:" > /o/passwd && echo "bin:x:8:" > /o/group && echo "x:x:1:1::/x:" >> /o/passwd',
    'FROM base',
    'RUN mkdir -m 777 /f',
    `USER ${user}`,
    `RUN --mount=${mount} touch "/f/$(id -u) $(id -g) $(echo $HOME | tr / :)"`,
  ],
});
const LIST = 'find /m | sort > /f';

/** RUN --mount. */
export const MOUNT_CASES: readonly OwnCase[] = [
  on('the context', `RUN --mount=target=/m cat /m/a.txt > /g; ${LIST}`),
  on('a directory of the context', `RUN --mount=source=d,target=/m ${LIST}`),
  on('a file of the context', 'RUN --mount=source=a.txt,target=/m/x cat /m/x > /g'),
  on(
    'a file at an existing file',
    'RUN --mount=source=a.txt,target=/etc/passwd cat /etc/passwd > /g',
  ),
  on('a relative target', 'WORKDIR /w', 'RUN --mount=source=d,target=m ls m > /f'),
  linked('a link in the context', 'link', 'ls -la /m | grep -c . > /f; cat /m/b > /g'),
  linked('a path through a link in the context', 'link/b', 'cat /m > /f'),
  linked('links to links in the context', 'far/', 'cat /m/b > /f'),
  linked('a link to its own directory', 'd/self', 'ls /m > /f'),
  linked('an absolute link in the context', 'absolute', 'cat /m > /f'),
  { ...linked('a dangling link in the context', 'gone', 'true'), expect: { bothFail: /gone/ } },
  {
    ...on('a source that is not there', 'RUN --mount=source=none,target=/m true'),
    expect: { bothFail: /none/ },
  },
  on('read-only', 'RUN --mount=target=/m touch /m/x || echo no > /f'),
  on(
    'writable, and discarded',
    `RUN --mount=target=/m,rw touch /m/x && ${LIST}`,
    'RUN ls -d /m > /g 2>&1 || true',
  ),
  on('an empty from', `RUN --mount=from=,target=/m ${LIST}`),
  {
    name: 'a stage',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir /o && echo 1 > /o/f',
      'FROM base',
      'RUN --mount=from=s,source=/o,target=/m cp /m/f /f',
    ],
  },
  {
    name: 'a stage by number',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir /o && echo 1 > /o/f',
      'FROM base',
      'RUN --mount=from=0,source=o,target=/m cp /m/f /f',
    ],
    expect: { divergence: 'numbers of stages', buildkitFails: /library.0/ },
  },
  {
    name: 'an image',
    dockerfile: ['FROM base', 'RUN --mount=from=base,target=/m cp /m/etc/group /f'],
  },
  {
    name: 'a link in a stage',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir /o && echo 1 > /o/f && ln -s /o /l',
      'FROM base',
      'RUN --mount=from=s,source=/l,target=/m cp /m/f /f',
    ],
  },
  {
    name: 'a writable stage',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir /o && echo 1 > /o/f',
      'FROM base',
      'RUN --mount=from=s,source=/o,target=/m,rw echo 2 > /m/f && cat /m/f > /f',
      'RUN --mount=from=s,source=/o,target=/m cat /m/f > /g',
    ],
  },
  {
    name: 'a variable as from',
    dockerfile: ['FROM base AS s', 'FROM base', 'ARG W=s', 'RUN --mount=from=$W,target=/m true'],
    expect: { bothFail: /variables are not expanded/ },
  },
  on('tmpfs', 'RUN --mount=type=tmpfs,target=/m touch /m/x && stat -c "%a %u %g" /m > /f'),
  on(
    'tmpfs with a size',
    'RUN --mount=type=tmpfs,target=/m,size=1m df /m | tail -n1 | tr -s " " | cut -d" " -f2 > /f',
  ),
  on(
    'tmpfs at an existing directory',
    'RUN --mount=type=tmpfs,target=/etc ls -A /etc > /f; echo x > /etc/y',
  ),
  on(
    'tmpfs at a directory with a mode',
    'RUN mkdir -m 751 /m && chown 5:6 /m',
    'RUN --mount=type=tmpfs,target=/m stat -c "%a %u %g" /m > /f',
  ),
  on(
    'tmpfs at a link to a directory with a mode',
    'RUN mkdir -m 2710 /m && ln -s m /l',
    'RUN --mount=type=tmpfs,target=/l/ stat -c "%a" /m > /f',
  ),
  on(
    'tmpfs at /dev/shm',
    'RUN --mount=type=tmpfs,target=/dev/shm,size=1m df /dev/shm | tail -n1 | tr -s " " | cut -d" " -f2 > /f',
  ),
  asUser('a user whose name a tmpfs hides', 'bin:mail', 'type=tmpfs,target=/etc'),
  asUser('a user whose name a file hides', 'bin', 'from=s,source=/o/passwd,target=/etc/passwd'),
  asUser('a user whose name a directory hides', 'bin', 'from=s,source=/o,target=/etc'),
  asUser('a user by number whose entry is in a mount', '7', 'from=s,source=/o,target=/etc'),
  asUser('root whose entry a mount hides', 'root', 'from=s,source=/o,target=/etc'),
  on('tmpfs below /dev', 'RUN --mount=type=tmpfs,target=/dev/x touch /dev/x/y && ls /dev/x > /f'),
  on('tmpfs at /tmp', 'RUN --mount=type=tmpfs,target=/tmp touch /tmp/x'),
  on('tmpfs at /run', 'RUN --mount=type=tmpfs,target=/run touch /run/x'),
  on(
    'a cache',
    'RUN --mount=type=cache,target=/m,id=own-one sh -c "echo 1 >> /m/x"',
    'RUN --mount=type=cache,target=/n,id=own-one cat /n/x > /f',
  ),
  on(
    'a cache without an id',
    'RUN --mount=type=cache,target=/own-two echo 1 > /own-two/x',
    'RUN --mount=type=cache,id=/own-two,target=/n cat /n/x > /f',
  ),
  on(
    'a cache without an id, with a slash',
    'RUN --mount=type=cache,target=/own-three/ echo 1 > /own-three/x',
    'RUN --mount=type=cache,target=/own-three cat /own-three/x > /f',
  ),
  on(
    'a cache without an id, with a relative target',
    'WORKDIR /w1',
    'RUN --mount=type=cache,target=own-four echo 1 > own-four/x',
    'WORKDIR /w2',
    'RUN --mount=type=cache,target=own-four ls own-four > /f',
  ),
  on(
    'two caches without an id',
    'RUN --mount=type=cache,target=/own-five touch /own-five/x',
    'RUN --mount=type=cache,target=/own-six ls /own-six > /f',
  ),
  on(
    'owner and mode of a cache',
    'RUN --mount=type=cache,target=/m,id=own-seven,uid=5,gid=6,mode=0751 stat -c "%a %u %g" /m > /f',
  ),
  on(
    'a cache by variables',
    'ARG T=/m I=own-eight',
    'RUN --mount=type=cache,id=$I,target=$T touch /m/x',
    'RUN --mount=type=cache,id=own-eight,target=/n ls /n > /f',
  ),
  on(
    'a type by variable',
    'ENV T=tmpfs',
    'RUN --mount=type=$T,target=/m touch /m/x; ls -d /m > /f',
  ),
  {
    name: 'a cache that begins with a stage',
    dockerfile: [
      'FROM base AS s',
      'RUN mkdir /o && echo 1 > /o/f',
      'FROM base',
      'RUN --mount=type=cache,id=own-nine,from=s,source=/o,target=/m cat /m/f > /f',
    ],
  },
  on(
    'a read-only cache',
    'RUN --mount=type=cache,id=own-ten,target=/m,ro touch /m/x || echo no > /f',
  ),
  on('a private cache', 'RUN --mount=type=cache,id=own-11,target=/m,sharing=private touch /m/x'),
  on(
    'a locked cache',
    // In one step: on a busy machine BuildKit gives the next one a new cache.
    'RUN --mount=type=cache,id=own-12,target=/m,sharing=locked touch /m/x && ls /m > /f',
  ),
  on(
    'caches of one id and two modes',
    'RUN --mount=type=cache,id=own-16,target=/m touch /m/x',
    'RUN --mount=type=cache,id=own-16,target=/m,mode=0700 (stat -c %a /m; ls /m) > /f',
  ),
  on(
    'caches of one id and two owners',
    'RUN --mount=type=cache,id=own-17,target=/m,uid=3 touch /m/x',
    'RUN --mount=type=cache,id=own-17,target=/m,uid=4 (stat -c %u /m; ls /m) > /f',
  ),
  on(
    'a mount in a tmpfs',
    `RUN --mount=type=tmpfs,target=/m --mount=source=d,target=/m/n/o ${LIST}`,
  ),
  on(
    'a mount in the context',
    'RUN --mount=target=/m --mount=type=tmpfs,target=/m/d find /m | sort > /f',
  ),
  {
    ...on(
      'a new mount point in the context',
      'RUN --mount=target=/m --mount=type=tmpfs,target=/m/x true',
    ),
    expect: { bothFail: /does not exist/ },
  },
  on(
    'a mount in the writable context',
    `RUN --mount=target=/m,rw --mount=type=tmpfs,target=/m/x ${LIST}`,
  ),
  {
    ...on(
      'a mount in a cache',
      'RUN --mount=type=cache,id=own-13,target=/m --mount=source=d,target=/m/n cat /m/n/b > /f',
    ),
    expect: { divergence: 'mounts in a cache mount', lktFails: /inside another mount/ },
  },
  {
    ...on(
      'a cache in a cache',
      'RUN --mount=type=cache,id=own-14,target=/m --mount=type=cache,id=own-15,target=/m/n echo 1 > /m/n/x',
      'RUN --mount=type=cache,id=own-15,target=/m cat /m/x > /f',
    ),
    expect: { divergence: 'mounts in a cache mount', lktFails: /inside another mount/ },
  },
  on(
    'the outer mount second',
    'RUN --mount=source=d,target=/m/n --mount=type=tmpfs,target=/m find /m | sort > /f',
  ),
  {
    ...on(
      'two mounts at one place',
      'RUN --mount=type=tmpfs,target=/m --mount=source=d,target=/m ls /m > /f',
    ),
    expect: { divergence: 'two mounts at one place', lktFails: /inside another mount/ },
  },
  on(
    'a mount point stays, if a command writes to it',
    'RUN --mount=type=tmpfs,target=/m/n touch /m/x',
  ),
  { ...on('the root', 'RUN --mount=type=tmpfs,target=/ true'), expect: { bothFail: /root/ } },
  {
    ...on('an unknown option', 'RUN --mount=typ=tmpfs,target=/m true'),
    expect: { bothFail: /typ/ },
  },
  { ...on('an unknown type', 'RUN --mount=type=tmp,target=/m true'), expect: { bothFail: /tmp/ } },
  {
    ...on('an unknown flag', 'RUN --mont=type=tmpfs,target=/m true'),
    expect: { bothFail: /mont/ },
  },
  {
    ...on('a secret that is needed', 'RUN --mount=type=secret,id=none,required true'),
    expect: { bothFail: /none/ },
  },
  on(
    'a secret that is not needed',
    'RUN --mount=type=secret,id=none ls /run/secrets > /f 2>&1 || true',
  ),
  {
    ...on('an agent that is needed', 'RUN --mount=type=ssh,required true'),
    expect: { bothFail: /ssh|agent/i },
  },
  on('mounts of a stage in triggers', 'ONBUILD RUN --mount=target=/m true'),
];
