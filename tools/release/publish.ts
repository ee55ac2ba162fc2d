import { spawnSync } from 'node:child_process';
import type { Packed } from './pack.ts';

/**
 * Publishes packages in order, until one fails. Skips those that the registry has already, so that
 * an interrupted release can be repeated.
 * @param flags of `npm publish`
 * @returns the exit code
 */
export function publish(packages: readonly Packed[], flags: readonly string[]): number {
  for (const { name, version, tarball, integrity } of packages) {
    const published = publishedIntegrity(`${name}@${version}`, flags);
    if (published === integrity) {
      process.stdout.write(`${name}@${version} is published already\n`);
      continue;
    }
    // Else npm would install a prerelease for those who ask for no version.
    const tag = version.includes('-') ? ['--tag', 'next'] : [];
    const words = ['publish', tarball, '--ignore-scripts', ...tag, ...flags];
    const done = spawnSync('npm', words, { stdio: 'inherit' });
    if (done.status !== 0) return done.status ?? 1;
  }
  return 0;
}

/** Returns the integrity of a published version; undefined if the registry does not serve one. */
function publishedIntegrity(id: string, flags: readonly string[]): string | undefined {
  const words = ['view', id, 'dist.integrity', '--loglevel=silent', ...flags];
  const done = spawnSync('npm', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return done.status === 0 ? done.stdout.trim() : undefined;
}
