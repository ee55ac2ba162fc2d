import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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
  const [caFile, keyFile, certFile] = [path('ca.pem'), path('server.key'), path('server.pem')];
  const caKey = path('ca.key');
  newCertificate('/CN=test CA', caKey, caFile);
  const alternatives = ['localhost', '127.0.0.1', ...names].map(
    (name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`,
  );
  const issuer = ['-CA', caFile, '-CAkey', caKey];
  const extensions = [`subjectAltName=${alternatives.join(',')}`, 'basicConstraints=CA:FALSE'];
  newCertificate('/CN=localhost', keyFile, certFile, [
    ...issuer,
    ...extensions.flatMap((extension) => ['-addext', extension]),
  ]);
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

/** Creates a key and its certificate, signed by itself or the issuer in `options`. */
export function newCertificate(
  subject: string,
  keyFile: string,
  certFile: string,
  options: readonly string[] = [],
): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const output = ['-subj', subject, '-days', '2', '-keyout', keyFile, '-out', certFile];
  execFileSync('openssl', ['req', '-x509', ...key, ...output, ...options], { stdio: 'pipe' });
}
