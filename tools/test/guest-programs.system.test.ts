import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { peerVersions } from '@lkt/testing/remembered';
import { expect, test } from 'vitest';
import { moduleInputs, moduleOptions } from './go-modules.ts';
import { proven } from './system/helpers/proof.ts';

const top = join(import.meta.dirname, '../..');
const peers = createHash('sha256').update(peerVersions()).digest('hex').slice(0, 16);

/** The compiler of Debian's golang-1.24-go, independent of other Go installations. */
const GO = '/usr/lib/go-1.24/bin/go';

const modules = globSync('{kernel,pkg,tools,projects}/**/go.mod', { cwd: top })
  .map(dirname)
  .toSorted();

test('finds the programs that are Go modules', () => {
  expect(modules).toEqual([
    'kernel/linux-object-cache',
    'pkg/atomicfile',
    'pkg/auditd',
    'pkg/binfmt',
    'pkg/bounds',
    'pkg/containerd-programs/ctr/users',
    'pkg/dhcp',
    'pkg/dm-crypt',
    'pkg/docker/start',
    'pkg/epoch',
    'pkg/extend',
    'pkg/format',
    'pkg/fstrim',
    'pkg/getty',
    'pkg/init',
    'pkg/ip',
    'pkg/logs',
    'pkg/losetup',
    'pkg/metadata',
    'pkg/modprobe',
    'pkg/modules',
    'pkg/mount',
    'pkg/netlink',
    'pkg/node_exporter',
    'pkg/ntp',
    'pkg/poweroff',
    'pkg/qemu-ga',
    'pkg/sandbox',
    'pkg/shutdown',
    'pkg/sshd',
    'pkg/storage',
    'pkg/swap',
    'pkg/sysctl',
    'pkg/sysfs',
    'pkg/tpm',
    'pkg/vmtoolsd',
    'pkg/vmware',
    'pkg/vsudd',
    'projects/gvisor/runsc',
    'projects/ipe/verity-init',
    'tools/attack',
    'tools/probe',
    'tools/puppet',
    'tools/rogue',
    'tools/test-agent',
  ]);
});

test.each(modules)(
  'go test of %s, seeds of its fuzz tests included',
  {
    timeout: 1_200_000,
  },
  async (path) => {
    const name = `go-test-${path.replaceAll('/', '-')}-${peers}`;
    await proven(name, async () => goTest(path), moduleInputs(path));
  },
);

// Only the decisions of the filter: an emulator of programs has no seccomp.
test('filters of system calls decide the same on arm64', { timeout: 1_200_000 }, async () => {
  await proven(
    `go-test-arm64-filters-${peers}`,
    async () => {
      const tests = ['-run', 'Filter|EveryRule|NoSystemCall', '-exec', 'qemu-aarch64', '-v', '.'];
      const stdout = await go('pkg/sandbox', ['test', ...tests], { GOARCH: 'arm64' });
      expect(stdout).toContain('--- PASS: TestFilterDecidesByArchitectureNumberAndArguments');
      return stdout;
    },
    moduleInputs('pkg/sandbox'),
  );
});

/**
 * Packages of the standard library in the programs of tiny.yml, without those that fmt, os and
 * encoding/json import anyway. One package may cost more of the initrd than their own code: net
 * takes 110 kB, crypto/sha256 50 kB.
 */
const LINKED = {
  'pkg/init':
    'bufio context embed hash hash/crc32 maps net net/netip os/signal path/filepath runtime/debug sort unique weak',
  'pkg/dhcp':
    'context crypto crypto/cipher crypto/sha256 crypto/subtle embed flag hash math/rand/v2 net/netip os/signal path/filepath sort unique weak',
};

test.each(Object.entries(LINKED))(
  '%s contains no other packages of the standard library than it needs',
  async (path, packages) => {
    const list = ['list', '-deps', '-f', '{{if .Standard}}{{.ImportPath}}{{end}}'];
    const base = await go(path, [...list, 'fmt', 'os', 'encoding/json']);
    const all = await go(path, [...list, '.']);
    const added = new Set(all.split('\n')).difference(new Set(base.split('\n')));
    expect(
      [...added]
        .filter((name) => isPublic(name))
        .toSorted()
        .join(' '),
    ).toBe(packages);
  },
);

/** Reports whether a package of the standard library is for programs. */
const isPublic = (name: string): boolean => !/(?:^|\/)(?:internal|vendor)\//.test(name);

/** Runs the tests of a module, and returns what they print. */
async function goTest(path: string): Promise<string> {
  using found = await moduleOptions(join(top, path));
  const options = ['test', '-vet=all', '-timeout=20m', ...found.options, './...'];
  const stdout = await go(path, options);
  expect(stdout).toMatch(/^ok\s/m);
  return stdout;
}

/**
 * Runs the go command in a module, and returns what it prints. If it fails, the error names the
 * failed tests and has their output.
 */
async function go(
  path: string,
  options: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  const running = promisify(execFile)(GO, options, {
    cwd: join(top, path),
    // As in a build, without downloads. Without cgo the tests need no C compiler.
    env: {
      ...process.env,
      CGO_ENABLED: '0',
      GOFLAGS: '',
      GOPROXY: 'off',
      GOTOOLCHAIN: 'local',
      ...variables,
    },
    maxBuffer: 2 ** 26,
  });
  const { stdout } = await running.catch((error: unknown) => {
    const { stdout: printed = '', stderr = '' } = error as Partial<Record<string, string>>;
    const failed = printed.matchAll(/^\s*--- FAIL: (\S+)/gm).map(([, name = '']) => name);
    const output = printed.replaceAll(/^ok\s.*\n/gm, '').slice(-10_000);
    throw new Error(`go ${options[0]} failed: ${[...failed].join(' ')}\n${output}${stderr}`);
  });
  return stdout;
}
