/** How the registry differs from one that has all of the distribution spec and lets everyone do everything. */
export interface RegistryOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Who may write, and read; everyone may when it is missing. */
  readonly auth?: {
    readonly scheme: 'basic' | 'token';
    readonly users: Readonly<Record<string, string>>;
    /** Refresh tokens ("identity tokens" in Docker's words) and whose they are. */
    readonly refreshTokens?: Readonly<Record<string, string>>;
    /** Repositories under this prefix can be read by everyone. */
    readonly publicPrefix?: string;
    /** The address of the token service that the challenge names; default this registry's own. */
    readonly realm?: string;
    /** Name of the field the token is in; default `token`. */
    readonly field?: 'access_token' | 'token';
    /** Whether the service knows the OAuth2 form; default true. */
    readonly oauth2?: boolean;
    /** Whether no token at all is given for more than the user may do; default false, it is for less then. */
    readonly strict?: boolean;
    /** Repositories that nobody may read. */
    readonly secret?: readonly string[];
    /** How many requests a token is good for; default any number. */
    readonly uses?: number;
  };
  /** Whether there is a referrers API; default true. */
  readonly referrers?: boolean;
  /** Whether `OCI-Subject` is sent; default as `referrers`. */
  readonly ociSubject?: boolean;
  /** Whether referrers are filtered by type; default true. */
  readonly filters?: boolean;
  /** Whether `Range` is understood; default true. */
  readonly ranges?: boolean;
  /** Whether blobs come from another origin, by a redirect. */
  readonly redirectBlobs?: boolean;
  /** Whether locations are without scheme and host; default false. */
  readonly relativeLocations?: boolean;
  /** A query that is in every address to upload to, and must come back as it is: `a=b+c&d`. */
  readonly uploadQuery?: string;
  /** Bytes that every chunk but the last must have. */
  readonly minChunk?: number;
  /** Whether chunked uploads are understood; default true. */
  readonly chunks?: boolean;
  /** Whether a blob can be mounted from another repository; default true. */
  readonly mounts?: boolean;
  /** Whether anything can be deleted; default true. */
  readonly deletes?: boolean;
  /** Whether a HEAD says how long the content is; default true. */
  readonly headLength?: boolean;
  /** Whether the digest of content is sent as a header; default true. */
  readonly digestHeader?: boolean;
  /** Whether manifests have an ETag and honour If-Match; default false. */
  readonly etags?: boolean;
  /** Most entries of one page of tags or referrers. */
  readonly pageSize?: number;
  /** What a manifest may name though it is not there; default manifests, by indexes. */
  readonly mayLack?: 'all' | 'manifests' | 'nothing';
  /** A text for a `Warning` header on every answer. */
  readonly warning?: string;
}
