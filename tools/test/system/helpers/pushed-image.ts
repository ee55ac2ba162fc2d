import { join } from 'node:path';
import type { TestRegistry } from '@lkt/testing';
import { expect } from 'vitest';
import { lkt, root } from './lkt.ts';

/**
 * Pushes an image with a shell to a registry of the test. Returns its name in the guest and in the
 * registry.
 */
export async function pushLogin(
  registry: TestRegistry,
): Promise<{ readonly image: string; readonly host: string }> {
  const built = await lkt(['pkg', 'build', '--json', join(root, 'pkg/login')]);
  expect(built.status, built.stderr).toBe(0);
  const { packages } = JSON.parse(built.stdout) as {
    readonly packages: readonly { readonly reference: string; readonly target: boolean }[];
  };
  const { reference = '' } = packages.find(({ target }) => target) ?? {};
  const pushed = await lkt(['cache', 'push', reference, '--as', `${registry.host}/login:it`]);
  expect(pushed.status, pushed.stderr).toBe(0);
  // QEMU's host, as the guest sees it.
  const host = `10.0.2.2:${new URL(registry.url).port}`;
  return { image: `${host}/login:it`, host };
}
