/** The CI systems that have a workflow. */
export const CI_SYSTEMS = ['github', 'gitlab', 'none'] as const;

export type CiSystem = (typeof CI_SYSTEMS)[number];

/** The identity with which the CI of a repository signs, and where it publishes. */
export interface CiIdentity {
  /** Pattern of the names of published images. */
  readonly images: string;
  /** Issuer of the OpenID tokens. */
  readonly issuer: string;
  /** Subject of the certificates: a workflow of a branch. */
  readonly subject: string;
}

/** Returns the CI system of a remote. */
export function ciOf(url: string): CiSystem {
  const { host = '' } = repositoryAt(url) ?? {};
  if (/\bgithub\b/.test(host)) return 'github';
  return /\bgitlab\b/.test(host) ? 'gitlab' : 'none';
}

/**
 * Returns the identity of the CI of a repository, in the workflow of docs/ci that publishes.
 * @param url address of the remote
 * @returns undefined for a remote without a known issuer
 */
export function ciIdentityOf(ci: CiSystem, url: string, branch: string): CiIdentity | undefined {
  const repository = repositoryAt(url);
  if (repository === undefined) return undefined;
  const { host, path } = repository;
  const page = `https://${host}/${path}`;
  if (ci === 'gitlab')
    return {
      images: `registry.${host}/${path.toLowerCase()}/*`,
      issuer: `https://${host}`,
      subject: `${page}//.gitlab-ci.yml@refs/heads/${branch}`,
    };
  const [owner = '', ...rest] = path.split('/');
  if (ci !== 'github' || host !== 'github.com' || rest.length !== 1) return undefined;
  return {
    images: `ghcr.io/${owner.toLowerCase()}/*`,
    issuer: 'https://token.actions.githubusercontent.com',
    subject: `${page}/.github/workflows/publish.yml@refs/heads/${branch}`,
  };
}

const HOST = String.raw`(?<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)`;
const PATH = String.raw`(?<path>(?:[\w.-]+/)+[\w.-]+?)(?:\.git)?/?$`;
const FORMS = [
  new RegExp(`^(?:https|ssh|git)://(?:[^@/]+@)?${HOST}(?::\\d+)?/${PATH}`),
  new RegExp(`^(?:[^@/:]+@)?${HOST}:(?!/)${PATH}`),
];

/** Returns host and path of a remote's address: `https://HOST/PATH.git`, `git@HOST:PATH.git`. */
function repositoryAt(url: string): { readonly host: string; readonly path: string } | undefined {
  for (const form of FORMS) {
    const { host, path } = form.exec(url)?.groups ?? {};
    if (host !== undefined && path !== undefined) return { host, path };
  }
  return undefined;
}
