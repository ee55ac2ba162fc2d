import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRegistry, startSigstore, startTufRepository } from '@lkt/testing';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { test } from 'vitest';
import { parseArchive, runArchive } from '../../../tools/testscript.ts';
import { main } from './program.ts';

const { PATH = '' } = process.env;

/** The identities of `$ID_TOKEN` and `$OTHER_ID_TOKEN` in scripts. */
const SIGNER = 'https://github.example/lkt/.github/workflows/release.yml@refs/heads/main';
/** The claims of `$ID_TOKEN`, as GitHub names them. */
const WORKFLOW = {
  server_url: 'https://github.example',
  repository: 'lkt',
  ref: 'refs/heads/main',
  workflow_ref: 'lkt/.github/workflows/release.yml@refs/heads/main',
};
const OTHER_SIGNER = 'release@example.com';
const HOUR = 3600;

const scripts = join(import.meta.dirname, 'script');

for (const file of globSync('*/*.txtar', { cwd: scripts })) {
  test.concurrent(file.replace('.txtar', ''), { timeout: 300_000 }, async () => {
    await using dir = guardedDirectory('lkt-script-');
    const text = readFileSync(join(scripts, file), 'utf8');
    await using registry = text.includes('$REGISTRY') ? await startRegistry() : undefined;
    await using sigstore = text.includes('$SIGSTORE') ? await startSigstore() : undefined;
    await using tuf = text.includes('$TUF') ? await startTufRepository() : undefined;
    if (tuf !== undefined && sigstore !== undefined) {
      tuf.publish({
        'trusted_root.json': sigstore.trustedRoot,
        'signing_config.v0.2.json': signingConfig(sigstore.url),
      });
      writeFileSync(join(dir.path, 'tuf-root.json'), tuf.root);
    }
    const exp = Math.floor(Date.now() / 1000) + HOUR;
    await runArchive(parseArchive(text), {
      dir: dir.path,
      commands: {
        lkt: [process.execPath, main],
        tiny: [process.execPath, join(import.meta.dirname, '../../machine/test/tiny-kernel.ts')],
      },
      env: {
        PATH,
        MAIN: main,
        NODE: process.execPath,
        NODE_COMPILE_CACHE: join(import.meta.dirname, '../../../node_modules/.cache/node'),
        NO_COLOR: '1',
        REGISTRY: registry?.host ?? '',
        SIGSTORE: sigstore?.url ?? '',
        SIGSTORE_FILES: sigstore?.directory ?? '',
        TRUSTED_ROOT: join(sigstore?.directory ?? '', 'trusted_root.json'),
        TUF: tuf?.url ?? '',
        ISSUER: sigstore?.issuer.url ?? '',
        SIGNER,
        OTHER_SIGNER,
        ID_TOKEN: sigstore?.issuer.token(SIGNER, { exp, ...WORKFLOW }) ?? '',
        OTHER_ID_TOKEN: sigstore?.issuer.token(OTHER_SIGNER, { exp }) ?? '',
        LC_ALL: 'C.UTF-8',
        LKT_CACHE: join(dir.path, '.store'),
        LKT_SCRIPT: join(import.meta.dirname, '../../../lkt'),
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_AUTHOR_NAME: 'A',
        GIT_AUTHOR_EMAIL: 'a@example.com',
        GIT_COMMITTER_NAME: 'A',
        GIT_COMMITTER_EMAIL: 'a@example.com',
      },
    });
  });
}

/** Returns a signing config with all services at an address. */
function signingConfig(url: string): string {
  const validFor = { start: '2020-01-01T00:00:00Z' };
  const services = [{ url, majorApiVersion: 1, validFor, operator: 'test' }];
  return JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: services,
    rekorTlogUrls: services,
    rekorTlogConfig: { selector: 'ANY' },
    tsaUrls: services,
    tsaConfig: { selector: 'ANY' },
  });
}
