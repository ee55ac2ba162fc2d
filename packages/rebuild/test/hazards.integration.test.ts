import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { type CauseKind, type CheckReport, describeCheck } from '../src/index.ts';
import { contextOf, scratch } from '../../builder/test/fixture.ts';
import { checked, filesByStage } from './checked.ts';
import { hostPrograms } from './host-programs.ts';

const FILES = 'mkdir /d; for i in a b c d e f g h i j k l; do touch /d/$i$i; done';

/** Commands whose output depends on the environment, with the expected path and cause. */
const HAZARDS: Readonly<Record<string, readonly [string, string, CauseKind]>> = {
  date: ['date > /out', '/out', 'time'],
  epoch: ['date +%s > /out', '/out', 'time'],
  'srand-of-time': [
    `busybox awk 'BEGIN { srand(); print int(rand() * 1e15) "x" }' > /out`,
    '/out',
    'random',
  ],
  uuid: ['cat /proc/sys/kernel/random/uuid > /out', '/out', 'random'],
  urandom: ['head -c 32 /dev/urandom > /out', '/out', 'random'],
  'random-text': ['head -c 24 /dev/urandom | busybox base64 > /out', '/out', 'random'],
  mktemp: ['busybox mktemp /out.XXXXXXXX', '/out.', 'random'],
  nproc: ['busybox nproc > /out', '/out', 'processors'],
  'make-j': ['echo "built with make -j$(busybox nproc)" > /out', '/out', 'processors'],
  find: [`${FILES}; find /d > /out`, '/out', 'order'],
  readdir: [`${FILES}; busybox tar -cf - /d | busybox tar -tf - > /out`, '/out', 'order'],
  print0: [`${FILES}; find /d -print0 > /out`, '/out', 'order'],
  'tar-order': [`${FILES}; busybox tar -cf /out /d`, '/out', 'order'],
  'tar-time': ['touch /f; busybox tar -cf /out /f', '/out', 'time'],
  'tar-in-gzip': ['date > /f; busybox tar -c /f | busybox gzip > /out', '/out', 'time'],
  'time-of-same-layer': ['touch /f; stat -c %Y /f > /out', '/out', 'time'],
  inode: ['stat -c %i /etc/passwd > /out', '/out', 'file-system'],
  device: ['stat -c %d /etc/passwd > /out', '/out', 'file-system'],
  free: ['busybox df / > /out', '/out', 'file-system'],
  mounts: ['cat /proc/self/mountinfo > /out', '/out', 'file-system'],
  uptime: ['cat /proc/uptime > /out', '/out', 'time'],
  memory: ['grep MemAvailable /proc/meminfo > /out', '/out', 'machine'],
  addresses: ['grep stack /proc/self/maps > /out', '/out', 'address'],
  link: ['ln -s /tmp/$(date +%s) /out', '/out', 'time'],
  ldconfig: [
    'mkdir -p /lib /etc /var/cache/ldconfig; cp /libz.so.1 /lib/; /ldconfig',
    '/var/cache/ldconfig/aux-cache',
    'file-system',
  ],
};

/** Commands that look suspicious but are reproducible. */
const HARMLESS: Readonly<Record<string, string>> = {
  hostname: 'hostname > /out; cat /proc/sys/kernel/hostname >> /out',
  pid: 'echo $$ > /out',
  environment: 'env > /out',
  umask: 'umask > /out; touch /f; mkdir /d',
  user: 'id > /out',
  directory: 'busybox pwd > /out',
  gzip: 'echo text > /f; busybox gzip -c /f > /out',
  sorted: `${FILES}; find /d | sort > /out`,
  globbed: `${FILES}; echo /d/* > /out`,
  'time-of-base': 'stat -c %Y /etc/passwd /bin/busybox > /out',
  'time-of-sources': 'stat -c "%Y %a %u" /name > /out',
  'source-date-epoch': 'date -u -d @$SOURCE_DATE_EPOCH > /out',
  'time-zone': 'date -d @0 > /out',
  'mode-of-own': 'touch /f; stat -c %a /f > /out',
  'times-after': 'touch /f /g',
};

/** Two recipes that append to one file, the first of which takes longer. */
const RACE =
  "printf 'all: a b\\na:\\n\\tsleep 0.6; echo a >> /out\\nb:\\n\\tsleep 0.1; echo b >> /out\\n' > /m";

/**
 * The same with programs of this machine; the last is the text of the cause and its fix. Paths
 * avoid the applets that busybox's shell prefers.
 */
const PROGRAMS: Readonly<Record<string, readonly [string, string, CauseKind, RegExp]>> = {
  zip: [
    `echo x > /f; python3 -c "import zipfile; zipfile.ZipFile('/out', 'w').write('/f')"`,
    '/out',
    'time',
    /times of files in an archive.*zip -X/,
  ],
  jar: [
    `echo x > /f; python3 -c "import zipfile; zipfile.ZipFile('/out.jar', 'w').write('/f')"`,
    '/out.jar',
    'time',
    /times of files in an archive.*jar --date/,
  ],
  pycache: [
    `mkdir /out; echo x = 1 > /out/m.py; cd /out; python3 -c 'import m'`,
    '/out/__pycache__/m.cpython-',
    'time',
    /source time in compiled Python/,
  ],
  'gzip-header': [
    'echo x > /f; /usr/bin/gzip /f; mv /f.gz /out',
    '/out',
    'time',
    /gzip header.*gzip -n/,
  ],
  'address-in-decimal': [`python3 -c 'print(id(object()))' > /out`, '/out', 'address', /address/],
  'address-of-object': [`python3 -c 'print(object())' > /out`, '/out', 'address', /address/],
  'order-of-hashes': [
    `python3 -c 'print(*{str(n) + "x" for n in range(40)})' > /out`,
    '/out',
    'order',
    /PYTHONHASHSEED/,
  ],
  'random-uuid': [`python3 -c 'import uuid; print(uuid.uuid4())' > /out`, '/out', 'random', /UUID/],
  'path-in-dwarf': [
    `d=$(busybox mktemp -d /tmp/XXXXXX); cd $d; echo nop > x.s; as -g x.s -o /out`,
    '/out',
    'path',
    /debug information.*prefix-map/,
  ],
  'parallel-make': [
    `${RACE}; make -s -j$(busybox nproc) -f /m`,
    '/out',
    'order',
    /parallel commands end/,
  ],
  'parallel-xargs': [
    `printf '0.6\\n0.1\\n' | busybox xargs -P$(busybox nproc) -n1 sh -c 'sleep $0; echo $0 >> /out'`,
    '/out',
    'order',
    /parallel commands end/,
  ],
  'disk-usage': ['busybox du -sk /usr > /out', '/out', 'file-system', /file system/],
  'date-in-elf-note': [
    'date > /d; echo nop | as -o /o; objcopy --add-section .note.date=/d /o /out',
    '/out',
    'time',
    /time/,
  ],
};

/** Programs of this machine whose output looks suspicious but is reproducible. */
const HARMLESS_PROGRAMS: Readonly<Record<string, string>> = {
  'locale-sort': `printf 'b\\nA\\na\\n\\303\\244\\nI\\n' | /usr/bin/sort > /out`,
  'debug-information-of-fixed-path': 'cd /tmp; echo nop > x.s; as -g x.s -o /out',
  'sparse-file': 'busybox truncate -s 1000000 /out; echo x >> /out',
  'owner-of-files': 'id > /out; stat -c "%u %g" /out >> /out; cat /proc/self/uid_map >> /out',
};

const ALL_HARMLESS = [...Object.keys(HARMLESS), ...Object.keys(HARMLESS_PROGRAMS)];

const stages = [
  ...Object.entries(HAZARDS).map(([name, [command]]) => [`hazard-${name}`, command] as const),
  ...Object.entries(HARMLESS).map(([name, command]) => [`harmless-${name}`, command] as const),
];
const programStages = [
  ...Object.entries(PROGRAMS).map(([name, [command]]) => [`hazard-${name}`, command] as const),
  ...Object.entries(HARMLESS_PROGRAMS).map(
    ([name, command]) => [`harmless-${name}`, command] as const,
  ),
];
const dockerfile = [
  ...stages.map(
    ([name, command]) =>
      `FROM base AS ${name}\nCOPY name libz.so.1 ldconfig /\nENV NAME=${name}\nRUN ${command}\n`,
  ),
  'FROM base AS tools\nENV PATH=/usr/bin:/bin\nCOPY tools /\n',
  ...programStages.map(
    ([name, command]) => `FROM tools AS ${name}\nENV NAME=${name}\nRUN ${command}\n`,
  ),
  'FROM scratch',
  ...stages.map(([name]) => `COPY --from=${name} / /${name}/`),
  ...programStages.map(([name]) => `COPY --from=${name} /out* /${name}/`),
].join('\n');

let report: CheckReport;

beforeAll(async () => {
  using dir = scratch();
  const context = join(dir.path, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'name'), 'a name\n');
  // ldconfig of libc-bin is static, and needs a library to index.
  copyFileSync('/sbin/ldconfig', join(context, 'ldconfig'));
  copyFileSync('/lib/x86_64-linux-gnu/libz.so.1', join(context, 'libz.so.1'));
  const names = ['as', 'gzip', 'make', 'objcopy', 'python3', 'sort'];
  const programs = hostPrograms(names.map((name) => `/usr/bin/${name}`));
  report = await checked(join(dir.path, 'store'), dockerfile, {
    context: [...contextOf(context), ...programs],
  });
}, 240_000);

test.each(Object.entries(HAZARDS))('finds %s', (name, [, path, kind]) => {
  const files = filesByStage(report, dockerfile).get(`hazard-${name}`) ?? [];
  const found = files.find((file) => file.path.startsWith(path));
  expect(found, JSON.stringify(files)).toBeDefined();
  expect(found).toMatchObject({ cause: { kind } });
  expect(found?.cause.fix).not.toBe('');
});

test.each(Object.entries(PROGRAMS))('finds %s', (name, [, path, kind, text]) => {
  const files = filesByStage(report, dockerfile).get(`hazard-${name}`) ?? [];
  const found = files.find((file) => file.path.startsWith(path));
  expect(found, JSON.stringify(files)).toBeDefined();
  expect(found, JSON.stringify(found)).toMatchObject({ cause: { kind } });
  expect(`${found?.cause.text}: ${found?.cause.fix}`).toMatch(text);
});

test.each(ALL_HARMLESS)('accepts %s', (name) => {
  expect(filesByStage(report, dockerfile).get(`harmless-${name}`)).toBeUndefined();
});

test('varies the whole environment', () => {
  expect(report.notes).toEqual([]);
});

test('reports a difference with file, line, cause and fix', () => {
  expect(report.reproducible).toBe(false);
  const { summary, detail, fix } = describeCheck(report);
  expect(summary).toBe(
    'Dockerfile:4:1: RUN date > /out: a second build of this step produced different files',
  );
  expect(detail).toMatch(
    /^ {2}\/out: differs at byte \d+: "\d\d:\d\d:\d\d" and "\d\d:\d\d:\d\d"\n/,
  );
  expect(fix).toMatch(/SOURCE_DATE_EPOCH/);
});
