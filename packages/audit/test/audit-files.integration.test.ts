import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { audit, found } from './audit-files-fixture.ts';

describe('findings about contents', () => {
  it.each([1, 7, 64, 4096])('include a private key in chunks of %i bytes', async (pieces) => {
    const run = promisify(execFile);
    const { stdout } = await run('openssl', ['genpkey', '-algorithm', 'ED25519']);
    const content = `${'x'.repeat(100)}\n${stdout}`;
    expect(await found({ 'etc/key.pem': { content } }, { pieces })).toEqual([
      '/etc/key.pem secret',
    ]);
  });

  it('include an expired certificate, unless it is an authority’s', async () => {
    const old = await certificate('end.example', '-1', 'CA:FALSE');
    const authority = await certificate('Old Authority', '-1', 'CA:TRUE');
    const good = await certificate('new.example', '40000', 'CA:FALSE');
    expect(
      await found({
        'etc/good.pem': { content: good },
        'etc/old.pem': { content: good + old },
        'etc/ssl/authorities.pem': { content: authority },
      }),
    ).toEqual(['/etc/old.pem certificate']);
    const { until } = await audit({ 'etc/good.pem': { content: good + authority } });
    expect(until?.getTime()).toBe(new X509Certificate(good).validToDate.getTime());
  });
});

async function certificate(name: string, days: string, constraints: string): Promise<string> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-audit-'));
  const key = join(dir.path, 'key.pem');
  const dates =
    days === '-1'
      ? ['-not_before', '20200101000000Z', '-not_after', '20210101000000Z']
      : ['-days', days];
  const { stdout } = await promisify(execFile)('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ed25519',
    '-nodes',
    '-keyout',
    key,
    '-subj',
    `/CN=${name}`,
    '-addext',
    `basicConstraints=critical,${constraints}`,
    ...dates,
  ]);
  return stdout;
}
