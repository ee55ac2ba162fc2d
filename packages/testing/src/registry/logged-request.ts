import type { IncomingHttpHeaders } from 'node:http';

/** A request that a test server received. */
export interface LoggedRequest {
  readonly server: 'registry' | 'sigstore' | 'storage' | 'token';
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The client's port, which tells connections to a registry apart. */
  readonly port?: number | undefined;
}
