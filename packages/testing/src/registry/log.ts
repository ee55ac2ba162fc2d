import type { IncomingHttpHeaders } from 'node:http';

/** A request the registry, its token service or its storage got. */
export interface LoggedRequest {
  readonly server: 'registry' | 'storage' | 'token';
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}
