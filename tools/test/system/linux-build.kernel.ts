import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Done, lkt, root } from './lkt.ts';

/** What the kernel is made with, and what is said of fragments that ask for what there is not. */

const HOURS = 7_200_000;
const dir = mkdtempSync(join(tmpdir(), 'lkt-linux-build-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Packages and what they have, by `lkt pkg build --json`. */
async function built(checkout: string, ...args: readonly string[]): Promise<Done> {
  return lkt(['pkg', 'build', '--json', ...args], { cwd: checkout });
}

test('the configuration for arm64 is what is asked of it', { timeout: HOURS }, async () => {
  const done = await built(root, 'kernel/linux-config-arm64');
  expect(done.status, done.stderr).toBe(0);
  const audit = await lkt(['audit', 'kernel', 'kernel/linux-config-arm64']);
  expect(audit.status, audit.stdout).toBe(0);
  expect(audit.stdout).toMatch(/ arm64 6\.12\.\d+ /);
});

test('what a fragment asks for in vain is named with its line', { timeout: HOURS }, async () => {
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
  expect(unset.stdout).toContain(
    `net.config:${line}: CONFIG_NET_INGRESS: asked for n, and it is y`,
  );
  expect(unset.stdout).toContain(`net.config:${line + 1}: CONFIG_IP_SET: asked for m, and it is `);
});

/** What `git` has of the kernel in this checkout, as it is in the work tree, in a repository of its own. */
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
