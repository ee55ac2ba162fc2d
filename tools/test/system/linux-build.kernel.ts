import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Done, lkt, root } from './helpers/lkt.ts';

/**
 * Tests the kernel's build: its output depends on the sources alone, and errors in them are
 * reported.
 */

const HOURS = 7_200_000;
const dir = mkdtempSync(join(tmpdir(), 'lkt-linux-build-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Builds packages with their dependencies by `lkt pkg build --json`. */
async function built(checkout: string, ...args: readonly string[]): Promise<Done> {
  return lkt(['pkg', 'build', '--json', ...args], { cwd: checkout });
}

/** Returns the image digest, which is equal for packages with the same files. */
function imageOf(done: Done, name: string): string {
  expect(done.status, done.stderr).toBe(0);
  interface Built {
    readonly name: string;
    readonly digest: string;
  }
  const { packages } = JSON.parse(done.stdout) as { readonly packages: readonly Built[] };
  return packages.find((item) => item.name === name)?.digest ?? 'none';
}

// A quarter of an hour of processor time, unless this store has the build.
test(
  'is the same with another user, time, umask and number of processors',
  { timeout: HOURS },
  async () => {
    const done = await built(root, '--check', 'kernel/linux');
    expect(done.status, `${done.stdout}${done.stderr}`).toBe(0);
  },
);

test('is the same in an incremental build', { timeout: HOURS }, async () => {
  const checkout = join(dir, 'checkout');
  copyCheckout(checkout);
  const released = imageOf(await built(checkout, 'kernel/linux'), 'lkt/linux');
  // Another directory than that of the release. The first build starts from nothing.
  const clean = await built(checkout, 'kernel/flavours/dev');
  expect(imageOf(clean, 'lkt/linux-dev')).toBe(released);
  const patch = join(checkout, 'kernel/flavours/dev/patches/1.patch');
  writeFileSync(patch, PATCH);
  const changed = await built(checkout, 'kernel/flavours/dev');
  expect(imageOf(changed, 'lkt/linux-dev')).not.toBe(released);
  rmSync(patch);
  const again = await built(checkout, '--force', '--no-cache', 'kernel/flavours/dev');
  expect(imageOf(again, 'lkt/linux-dev')).toBe(released);
});

test('has the requested configuration for arm64', { timeout: HOURS }, async () => {
  const done = await built(root, 'kernel/linux-config-arm64');
  expect(done.status, done.stderr).toBe(0);
  const audit = await lkt(['audit', 'kernel', 'kernel/linux-config-arm64']);
  expect(audit.status, audit.stdout).toBe(0);
  expect(audit.stdout).toMatch(/ arm64 6\.12\.\d+ /);
});

test('reports the line of a symbol that cannot be set', { timeout: HOURS }, async () => {
  const checkout = join(dir, 'wrong');
  copyCheckout(checkout);
  const fragment = join(checkout, 'kernel/config/net.config');
  const text = readFileSync(fragment, 'utf8');
  const line = text.split('\n').length;
  writeFileSync(
    fragment,
    `${text}CONFIG_NFT_TUNNELS=y\nCONFIG_ARM64_MTE=y\n# CONFIG_NET_INGRESS is not set\n`,
  );
  const unknown = await built(checkout, 'kernel/linux-config');
  expect(unknown.status).toBe(1);
  expect(unknown.stdout).toContain(
    `net.config:${line}: CONFIG_NFT_TUNNELS: Linux has no such symbol for x86_64`,
  );
  expect(unknown.stdout).toContain(
    `net.config:${line + 1}: CONFIG_ARM64_MTE: Linux has no such symbol for x86_64`,
  );
  writeFileSync(fragment, `${text}# CONFIG_NET_INGRESS is not set\nCONFIG_IP_SET=m\n`);
  const unset = await built(checkout, 'kernel/linux-config');
  expect(unset.status).toBe(1);
  expect(unset.stdout).toContain(`net.config:${line}: CONFIG_NET_INGRESS: requested n, got y`);
  expect(unset.stdout).toContain(`net.config:${line + 1}: CONFIG_IP_SET: requested m, got `);
});

/** Copies the kernel's files, committed or not, into a repository of its own. */
function copyCheckout(to: string): void {
  mkdirSync(to);
  cpSync(join(root, 'kernel'), join(to, 'kernel'), { recursive: true });
  const git = (...args: readonly string[]): void => {
    const who = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
    execFileSync('git', [...who, ...args], { cwd: to, stdio: 'pipe' });
  };
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'the kernel');
}

const PATCH = `--- a/init/do_mounts.c
+++ b/init/do_mounts.c
@@ -1,3 +1,4 @@
 // SPDX-License-Identifier: GPL-2.0-only
+static int tried __attribute__((used)) = 1;
 #include <linux/module.h>
 #include <linux/sched.h>
`;
