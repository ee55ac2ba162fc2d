import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A private certificate authority with a server certificate for `localhost`, `127.0.0.1` and
 * further names.
 */
export interface Authority extends Disposable {
  /** The authority's certificate, in PEM form. */
  readonly ca: string;
  readonly caFile: string;
  readonly key: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly certFile: string;
}

/**
 * Creates a certificate authority with openssl. Disposing removes its files.
 * @param names further host names and addresses of the server
 */
export function createAuthority(names: readonly string[] = []): Authority {
  const directory = mkdtempSync(join(tmpdir(), 'lkt-testing-'));
  const path = (name: string): string => join(directory, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const [caFile, keyFile, certFile] = [path('ca.pem'), path('server.key'), path('server.pem')];
  const days = ['-days', '2'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    path('ca.key'),
    '-out',
    caFile,
    ...days,
    '-subj',
    '/CN=test CA',
  );
  openssl('req', ...newKey, '-keyout', keyFile, '-out', path('csr'), '-subj', '/CN=localhost');
  const alternatives = ['localhost', '127.0.0.1', ...names].map(
    (name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`,
  );
  writeFileSync(path('extensions'), `subjectAltName=${alternatives.join(',')}\n`);
  const issuer = ['-CA', caFile, '-CAkey', path('ca.key')];
  openssl(
    'x509',
    '-req',
    '-in',
    path('csr'),
    ...issuer,
    '-out',
    certFile,
    ...days,
    '-extfile',
    path('extensions'),
  );
  return {
    ca: readFileSync(caFile, 'utf8'),
    caFile,
    key: readFileSync(keyFile, 'utf8'),
    keyFile,
    cert: readFileSync(certFile, 'utf8'),
    certFile,
    [Symbol.dispose]: () => {
      rmSync(directory, { recursive: true });
    },
  };
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
