/**
 * Deviations from a registry that implements all of the distribution-spec without authentication.
 */
export interface RegistryOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Authentication; without it, every client may read and write. */
  readonly auth?: {
    readonly scheme: 'basic' | 'token';
    readonly users: Readonly<Record<string, string>>;
    /** Users by refresh token ("identity token" in Docker's terms). */
    readonly refreshTokens?: Readonly<Record<string, string>>;
    /** Prefix of repositories that every client may read. */
    readonly publicPrefix?: string;
    /** URL of the token service in challenges; default: this registry's own. */
    readonly realm?: string;
    /** Field of the response with the token; default: `token`. */
    readonly field?: 'access_token' | 'token';
    /** Whether the token service supports OAuth2; default: true. */
    readonly oauth2?: boolean;
    /**
     * Whether a request for more than permitted is denied; default: false, the token then permits
     * less.
     */
    readonly strict?: boolean;
    /** Repositories that no user may read. */
    readonly unreadable?: readonly string[];
    /** Number of requests for which a token is valid; default: unlimited. */
    readonly uses?: number;
  };
  /** Whether the referrers API exists; default: true. */
  readonly referrers?: boolean;
  /** Whether `OCI-Subject` is sent; default: as `referrers`. */
  readonly ociSubject?: boolean;
  /** Whether `Range` is supported; default: true. */
  readonly ranges?: boolean;
  /** Whether blobs are redirected to another origin. */
  readonly redirectBlobs?: boolean;
  /** Whether locations omit scheme and host; default: false. */
  readonly relativeLocations?: boolean;
  /** Query of every upload URL, which the client must preserve: `a=b+c&d`. */
  readonly uploadQuery?: string;
  /** Minimum bytes of every chunk except the last. */
  readonly minChunk?: number;
  /** Whether blobs can be mounted from another repository; default: true. */
  readonly mounts?: boolean;
  /** Whether HEAD has a content length; default: true. */
  readonly headLength?: boolean;
  /** Whether the digest of content is sent as a header; default: true. */
  readonly digestHeader?: boolean;
  /** Whether manifests have an ETag and honour If-Match; default: false. */
  readonly etags?: boolean;
  /** Maximum entries in a page of tags or referrers. */
  readonly pageSize?: number;
  /** Parts that a manifest may name although they are missing; default: `manifests`, in indexes. */
  readonly allowMissing?: 'all' | 'manifests' | 'nothing';
  /** Text of a `Warning` header in every response. */
  readonly warning?: string;
}
