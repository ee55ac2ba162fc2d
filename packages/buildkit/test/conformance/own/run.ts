import type { OwnCase } from '../own-case.ts';

const on = (name: string, ...lines: readonly string[]): OwnCase => ({
  name,
  dockerfile: ['FROM base', ...lines],
});

/** Two accounts with groups. */
const ACCOUNTS =
  'RUN echo "joe:x:1000:1001::/home/joe:/bin/sh" >> /etc/passwd && echo "joe:x:1001:" >> /etc/group && echo "wheel:x:10:bin,joe" >> /etc/group && echo "audio:x:20:joe" >> /etc/group && mkdir -m 777 /o';
const WHO =
  'RUN touch "/o/$(id -u) $(id -g) $(grep Groups: /proc/self/status | tr "\t" " ") $(echo $HOME $USER | tr / :)"';

const groups = (name: string, user: string): OwnCase => on(name, ACCOUNTS, `USER ${user}`, WHO);

/** RUN: its environment, and the layers that it leaves. */
export const RUN_CASES: readonly OwnCase[] = [
  groups('a user by name', 'joe'),
  groups('a user by number', '1000'),
  groups('a user and a group by name', 'joe:wheel'),
  groups('a user and a group by number', '1000:10'),
  groups('a user by number that is not listed', '1234'),
  groups('a user by number with a group that is not listed', '1234:4321'),
  groups('the user root', 'root'),
  groups('the user 0', '0'),
  groups('root with a group', 'root:wheel'),
  groups('a user with groups of its own', 'bin'),
  on('no user', ACCOUNTS, WHO),
  groups('a variable as user', '${WHO:-joe}'),
  on(
    'a second name of a user',
    ACCOUNTS,
    'RUN echo "jim:x:1000:50::/home/jim:/bin/sh" >> /etc/passwd && echo "video:x:30:jim" >> /etc/group',
    'USER jim',
    WHO,
  ),
  on('an empty HOME of ENV', ACCOUNTS, 'USER joe', 'ENV HOME=', WHO),
  { ...groups('a user that is not there', 'nobody-here'), expect: { bothFail: /has no user/ } },
  {
    ...on('no command', 'RUN --mount=type=tmpfs,target=/m'),
    expect: { divergence: 'no command', lktFails: /RUN requires a command/ },
  },
  {
    ...on('the name of a whiteout', 'RUN touch /etc/.wh.passwd'),
    expect: { divergence: 'names of whiteouts', lktFails: /deleted file/ },
  },
  on('the name of the machine', 'RUN hostname > /f'),
  {
    ...on('environment', 'RUN env | sort > /f'),
    expect: { divergence: 'SOURCE_DATE_EPOCH', files: ['f'] },
  },
  on('HOME of ENV', 'ENV HOME=/h', 'RUN echo $HOME > /f'),
  on(
    'an empty PATH',
    'ENV PATH=',
    'RUN ["/bin/sh", "-c", "/bin/busybox env | /bin/busybox grep -v DATE > /f"]',
  ),
  on('umask and limits', 'RUN { umask; ulimit -c; } > /f'),
  on('the working directory', 'WORKDIR /a', 'WORKDIR b', 'RUN pwd > f'),
  on('a working directory by variable', 'ENV D=/x', 'WORKDIR $D/y', 'RUN pwd > f'),
  on(
    'a working directory of another user',
    'USER bin',
    'WORKDIR /w',
    'RUN stat -c "%u %g %a" /w > /tmp/f',
  ),
  on('a working directory that exists', 'RUN mkdir -m 700 /w', 'WORKDIR /w'),
  on(
    'a working directory through a link',
    'RUN mkdir /w && ln -s /w /l',
    'WORKDIR /l/x',
    'RUN pwd > f',
  ),
  {
    ...on('a working directory with dots', 'WORKDIR /a/../b/./c', 'RUN pwd > f'),
    expect: {
      divergence: 'clean WORKDIR',
      files: ['a'],
      ours: { WorkingDir: '/b/c' },
      theirs: { WorkingDir: '/a/../b/./c' },
    },
  },
  { ...on('a working directory that is a file', 'WORKDIR /etc/passwd'), expect: { bothFail: /./ } },
  on('a working directory that was removed', 'WORKDIR /w', 'RUN rmdir /w', 'RUN pwd > f'),
  on('another shell', 'SHELL ["/bin/sh", "-e", "-x", "-c"]', 'RUN echo $- | tr -d "\\n" > /f'),
  { ...on('a command that fails', 'RUN exit 3'), expect: { bothFail: /ended with status 3/ } },
  { ...on('a program that is not there', 'RUN ["nothing-here"]'), expect: { bothFail: /./ } },
  {
    ...on('the network', 'RUN --network=none ip link > /dev/null && wget -T 1 http://192.0.2.1/'),
    expect: { bothFail: /./ },
  },
  on('no network', 'RUN --network=none ls /sys/class/net > /f'),
  on('a file in /etc/hosts', 'RUN --network=none cat /etc/hosts > /dev/null || true'),
  {
    ...on('a change of /etc/hosts', 'RUN echo "10.0.0.1 x" > /etc/hosts || true'),
    expect: { divergence: 'hosts and resolv.conf', files: ['etc/hosts'] },
  },
  {
    ...on(
      'a change of /etc/resolv.conf',
      'RUN echo "nameserver 10.0.0.1" > /etc/resolv.conf || true',
    ),
    expect: { divergence: 'hosts and resolv.conf', files: ['etc/resolv.conf'] },
  },
  on(
    'a copy of /etc/hosts',
    'COPY Dockerfile /etc/hosts',
    'COPY Dockerfile /etc/resolv.conf',
    'RUN true',
  ),
  on('a link at /etc/resolv.conf', 'RUN ln -s ../run/resolv.conf /etc/resolv.conf.new', 'RUN true'),
  on(
    'files in /dev, /proc and /sys',
    'RUN touch /dev/x; ls /proc/self > /dev/null; mkdir /dev/shm/y; true',
  ),
  on('a missing /tmp', 'RUN rmdir /tmp', 'RUN true'),
  on(
    'an image without directories',
    'RUN mkdir -p /r/bin && cp /bin/busybox /r/bin/ && ln -s busybox /r/bin/sh',
  ),
  {
    name: 'an image without /dev, /proc and /sys',
    dockerfile: [
      'FROM base AS b',
      'FROM scratch',
      'COPY --from=b /bin/busybox /bin/sh',
      'RUN ["/bin/sh", "-c", "echo 1 > /f"]',
    ],
  },
  on(
    'long names',
    'RUN n=$(printf "%0200d" 0); mkdir -p /$n/$n && echo 1 > /$n/$n/$n && ln -s $n/$n/$n /l && ln /$n/$n/$n /h',
  ),
  on(
    'names with odd characters',
    'RUN touch "/a b" "/c\\"d" "/ä" "/tab\ttab" "/back\\\\slash" "/.wh" "/star*"',
  ),
  on('large numbers of users', 'RUN touch /f && chown 4000000:3000000 /f'),
  on(
    'times',
    'RUN touch -d @0 /a && touch -d @1 /b && touch -d 2100-01-01 /c && mkdir /d && touch -d @7 /d',
  ),
  on(
    'links',
    'RUN mkdir /d && echo 1 > /d/a && ln /d/a /d/b && ln /d/a /c && ln -s a /d/s && ln -s /nowhere /d/t',
  ),
  on('a hard link of a file below', 'RUN echo 1 > /a', 'RUN ln /a /b'),
  on('fifos and devices', 'RUN mkfifo -m 600 /p && mknod /c c 1 3 && mknod -m 644 /b b 8 1'),
  on(
    'special bits',
    'RUN touch /f && chmod 4755 /f && mkdir /d && chmod 2775 /d && mkdir /t && chmod 1777 /t',
  ),
  on('empty files and directories', 'RUN touch /e && mkdir -p /d/e'),
  on(
    'holes in a file',
    'RUN dd if=/dev/zero of=/f bs=1 count=1 seek=1000000 2> /dev/null && printf x >> /f',
  ),
  {
    ...on(
      'a time after SOURCE_DATE_EPOCH, twice',
      'RUN echo f > /f && touch -d @4000000000 /f',
      'RUN touch -d @4000000000 /f',
    ),
    expect: { divergence: 'later times', files: [] },
  },
  on(
    'the same change twice, and after another',
    'RUN mkdir /x && echo b > /b',
    'RUN echo a > /h',
    'RUN echo a > /h',
    'RUN rm /h',
    'RUN echo a > /h',
    'RUN cat /h /b > /x/h',
  ),
  on('removed files of the base', 'RUN rm -r /etc/passwd /usr/local'),
  on('a removed and made file of the base', 'RUN rm /etc/passwd && echo x > /etc/passwd'),
  on('a directory in place of one of the base', 'RUN rm -r /usr && mkdir /usr && echo 1 > /usr/f'),
  on('an unchanged file of the base', 'RUN cp /etc/passwd /p && cat /p > /etc/passwd'),
  on('a renamed directory of the base', 'RUN mv /usr /usr2'),
  on('a name that ends in a background process', 'RUN (sleep 100 &) ; echo 1 > /f'),
];
