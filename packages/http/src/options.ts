import type { RetryPolicy } from './retry.ts';
import type { SpeedLimit } from '@lkt/core';

/** Options of a client. */
export interface HttpOptions extends Omit<RetryPolicy, 'signal'> {
  /**
   * The environment with `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and
   * `NODE_EXTRA_CA_CERTS`.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Certificates of additional trusted authorities, in PEM form. */
  readonly ca?: readonly string[];
  /** Certificate and private key in PEM form, by which servers recognise this client. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /** Milliseconds without a byte after which an attempt fails; default one minute. */
  readonly idle?: number;
  /** Speed below which an attempt fails; default 1 KiB per second, measured over a minute. */
  readonly minSpeed?: SpeedLimit;
  /** Maximum connections per server; default 8. */
  readonly connections?: number;
  /** The `user-agent` header. */
  readonly userAgent?: string;
}
