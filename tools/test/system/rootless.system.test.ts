import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Dockerd, startDockerd } from '../../../packages/buildkit/test/dockerd.ts';
import { lkt, root } from './helpers/lkt.ts';

/** A user of the containers, with a range of ids there, and a stranger everywhere else. */
const USER = 23_456;
/** Root of a rootless container, outside of it. */
const OUTSIDE = 100_000;

/** `owners` belongs to several users; `changed` changes an owner in a RUN. */
const PACKAGES = {
  plain: `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "cd /; b=/bin/busybox; $b mkdir -p a/b; $b echo 1 > a/b/f; $b chmod 6755 a/b/f; $b ln -s f a/b/l; $b mkfifo a/p"]
RUN ["/bin/busybox", "rm", "/a/b/l"]
WORKDIR /srv
`,
  owners: `FROM scratch
COPY --chown=1000:50 busybox /bin/busybox
RUN ["/bin/busybox", "chown", "33:44", "/bin"]
USER 33
RUN ["/bin/busybox", "id"]
`,
  changed: `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "chown", "33:44", "/bin"]
`,
};
type Name = keyof typeof PACKAGES;

const dir = mkdtempSync(join(tmpdir(), 'lkt-rootless-'));
const workspace = join(dir, 'workspace');
const homes = join(dir, 'homes');
const digests = new Map<Name, string>();
let dockerd: Dockerd;
let count = 0;

beforeAll(async () => {
  chmodSync(dir, 0o755);
  for (const [name, text] of Object.entries(PACKAGES)) {
    const path = join(workspace, 'pkg', name);
    mkdirSync(path, { recursive: true });
    copyFileSync('/usr/bin/busybox', join(path, 'busybox'));
    writeFileSync(join(path, 'Dockerfile'), text);
    writeFileSync(join(path, 'build.yml'), `image: lkt/${name}\n`);
  }
  for (const name of Object.keys(PACKAGES) as Name[]) digests.set(name, await build(name));
  dockerd = await startDockerd(join(dir, 'docker'));
  importImage();
}, 600_000);

afterAll(async () => {
  await dockerd?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

/** Imports an image that has the machine's programs when /usr is mounted. */
function importImage(): void {
  const image = join(dir, 'image');
  for (const name of ['usr', 'proc', 'sys', 'dev', 'etc', 'root', 'tmp'])
    mkdirSync(join(image, name), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(image, name));
  chmodSync(join(image, 'tmp'), 0o1777);
  const range = `${USER}:${OUTSIDE}:65536\n`;
  const files = {
    passwd: `root:x:0:0::/root:/bin/sh\nuser:x:${USER}:${USER}::/tmp:/bin/sh\n`,
    group: `root:x:0:\nuser:x:${USER}:\n`,
    subuid: range,
    subgid: range,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(image, 'etc', name), text);
  const input = execFileSync('tar', ['-C', image, '-c', '.']);
  execFileSync('docker', ['import', '-', 'machine'], { env: dockerd.environment, input });
}

/**
 * Builds a package in a new store that everybody may write.
 * @param under words before the command, for which `HOME` is a directory for everybody
 * @returns the digest, or the messages
 */
async function build(name: Name, under: readonly string[] = []): Promise<string> {
  count += 1;
  const home = join(homes, String(count));
  mkdirSync(home, { recursive: true });
  chmodSync(home, 0o777);
  const variables = [`HOME=${home}`, `LKT_CACHE=${home}/store`, `XDG_STATE_HOME=${home}/state`];
  const words = [...under, 'env', '-C', workspace, 'LKT_STORE_KEY=', ...variables];
  const environment = under[0] === 'docker' ? dockerd.environment : {};
  const args = ['pkg', 'build', `pkg/${name}`];
  const { stdout, stderr } = await lkt(args, { under: words, env: environment });
  return /@(sha256:[0-9a-f]{64})$/m.exec(stdout)?.[1] ?? stderr;
}

/** A way to run lkt. Packages of it build to root's digest, or fail with a fix. */
interface Cell {
  readonly name: string;
  readonly under: () => readonly string[];
  readonly same?: readonly Name[];
  readonly fixes?: readonly (readonly [Name, string])[];
}

const asUser = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
/** Returns a command that runs a script in a directory before the command that follows. */
const shell = (script: string, directory = '/'): readonly string[] => [
  'sh',
  '-c',
  `cd "$0" && ${script} && exec "$@"`,
  directory,
];
/** More than one user exists. */
const ALL_IDS = { same: ['owners'] } as const;
const ONE_ID = { same: ['plain'], fixes: [['owners', 'install uidmap']] } as const;
const everyId = ['--map-users=0:0:4294967295', '--map-groups=0:0:4294967295'];
const container = (...options: readonly string[]): readonly string[] => [
  'docker',
  'run',
  '--rm',
  '--network=none',
  '--env=PATH=/usr/sbin:/usr/bin',
  ...['/usr', root, workspace].map((path) => `--volume=${path}:${path}:ro`),
  `--volume=${homes}:${homes}`,
  ...options,
  'machine',
];
const unconfined = ['--security-opt=seccomp=unconfined', '--security-opt=systempaths=unconfined'];

const noUserNamespaces = shell('echo 0 > /proc/sys/user/max_user_namespaces');
/** A process in a chroot may not make a user namespace; the setting is a file of the test. */
const restricted = (directory: string): readonly string[] =>
  shell(
    [
      'mkdir -p kernel/random top',
      'echo 1 > kernel/apparmor_restrict_unprivileged_userns',
      'mount --bind /proc/sys/kernel/random kernel/random',
      'mount --rbind kernel /proc/sys/kernel',
      'mount --rbind / top',
    ].join(' && '),
    directory,
  );

const CELLS: readonly Cell[] = [
  {
    name: 'a user without ids of /etc/subuid',
    under: () => asUser,
    same: ['plain'],
    fixes: [
      ['owners', 'install uidmap'],
      ['changed', 'if it changes owners of files: install uidmap'],
    ],
  },
  {
    name: 'a user with ids of /etc/subuid but no name',
    under: () => [
      'unshare',
      '--mount',
      ...shell(
        `for f in /etc/subuid /etc/subgid; do mount --bind ${dir}/image/etc/subuid $f; done`,
      ),
      ...asUser,
    ],
    ...ONE_ID,
  },
  {
    name: 'root of a user namespace with one id',
    under: () => [...asUser, 'unshare', '--map-root-user'],
    ...ONE_ID,
  },
  {
    name: 'root of a rootless container',
    under: () => {
      const range = `0:${OUTSIDE}:65536`;
      const maps = [`--map-users=${range}`, `--map-groups=${range}`];
      return ['unshare', '--user', ...maps, '--setuid=0', '--setgid=0'];
    },
    ...ALL_IDS,
  },
  {
    name: 'root without user namespaces',
    under: () => ['unshare', '--user', ...everyId, ...noUserNamespaces],
    ...ALL_IDS,
  },
  {
    name: 'a user without user namespaces',
    under: () => ['unshare', '--user', ...everyId, ...noUserNamespaces, ...asUser],
    fixes: [['plain', 'as root with: sysctl -w user.max_user_namespaces=15000; or build as root']],
  },
  {
    name: "a user under AppArmor's restriction of Ubuntu",
    under: () => ['unshare', '--mount', ...restricted(dir), 'chroot', join(dir, 'top'), ...asUser],
    fixes: [
      ['plain', 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; or build as root'],
    ],
  },
  { name: 'Docker, privileged', under: () => container('--privileged'), ...ALL_IDS },
  {
    name: 'Docker, privileged, a user with ids of /etc/subuid',
    under: () => container('--privileged', `--user=${USER}`),
    ...ALL_IDS,
  },
  {
    name: 'Docker, unprivileged',
    under: () => container(),
    fixes: [['plain', '--security-opt seccomp=unconfined']],
  },
  {
    name: 'Docker, unprivileged, a user with ids of /etc/subuid',
    under: () => container(`--user=${USER}`),
    fixes: [['plain', '--security-opt seccomp=unconfined']],
  },
  { name: 'Docker, unconfined', under: () => container(...unconfined), ...ALL_IDS },
  {
    name: 'Docker, unconfined, a user with ids of /etc/subuid',
    under: () => container(...unconfined, `--user=${USER}`),
    ...ONE_ID,
  },
  {
    name: 'Docker, unconfined, no capabilities',
    under: () => container(...unconfined, '--cap-drop=ALL'),
    fixes: [['plain', 'add SETFCAP, SETGID and SETUID']],
  },
  {
    name: 'Docker, unconfined except for /proc',
    under: () => container('--security-opt=seccomp=unconfined'),
    fixes: [['plain', '--security-opt systempaths=unconfined']],
  },
];

test.each(CELLS)('builds the same image, or names the setting: $name', async (cell) => {
  for (const name of cell.same ?? [])
    expect(await build(name, cell.under())).toBe(digests.get(name));
  for (const [name, fix] of cell.fixes ?? []) {
    const lines = (await build(name, cell.under())).split('\n');
    expect(lines.filter((line) => line.startsWith('error:'))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith('  fix: ')).join()).toContain(fix);
  }
});
