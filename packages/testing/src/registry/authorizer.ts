import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, sendJson } from './responses.ts';
import { bodyOf } from './request-context.ts';
import type { RegistryOptions } from './options.ts';

type Auth = NonNullable<RegistryOptions['auth']>;

interface Token {
  /** Actions by repository: `pull` and `push`. */
  readonly access: ReadonlyMap<string, ReadonlySet<string>>;
  uses: number;
}

/** Basic authentication, or Docker's token authentication with its token service. */
export class Authorizer {
  readonly #auth: Auth;
  readonly #realm: string;
  readonly #tokens = new Map<string, Token>();

  constructor(auth: Auth, origin: string) {
    this.#auth = auth;
    this.#realm = auth.realm ?? `${origin}/token`;
  }

  /**
   * Checks the authorization of a request. `name` is undefined for the registry as a whole.
   * @throws ApiError unless the request is authorized
   */
  check(
    request: IncomingMessage,
    name: string | undefined,
    action: 'delete' | 'pull' | 'push',
  ): void {
    const { authorization = '' } = request.headers;
    const { scheme, publicPrefix } = this.#auth;
    if (scheme === 'basic') {
      const isPublic = publicPrefix !== undefined && name?.startsWith(publicPrefix) === true;
      if ((isPublic && action === 'pull') || this.#user(authorization) !== undefined) return;
      throw new ApiError(401, 'UNAUTHORIZED', {
        'www-authenticate': 'Basic realm="test, \\"quoted\\""',
      });
    }
    const token = this.#tokens.get(/^Bearer (.+)$/.exec(authorization)?.[1] ?? '');
    const isGood = token !== undefined && token.uses > 0;
    if (isGood) token.uses -= 1;
    if (isGood && (name === undefined || token.access.get(name)?.has(action) === true)) return;
    const actions = action === 'push' ? 'pull,push' : action;
    const scope = name === undefined ? '' : `,scope="repository:${name}:${actions}"`;
    const error = isGood ? ',error="insufficient_scope"' : '';
    throw new ApiError(401, 'UNAUTHORIZED', {
      'www-authenticate': `Bearer realm="${this.#realm}",service="test"${scope}${error}`,
    });
  }

  /**
   * Handles a token request (https://distribution.github.io/distribution/spec/auth/token/ and
   * /oauth/).
   */
  async handleToken(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    let scopes = url.searchParams.getAll('scope');
    let user: string | undefined;
    if (request.method === 'POST') {
      if (this.#auth.oauth2 === false) throw new ApiError(404, 'UNSUPPORTED');
      const form = new URLSearchParams((await bodyOf(request)).toString());
      scopes = form.getAll('scope');
      user =
        form.get('grant_type') === 'refresh_token'
          ? this.#auth.refreshTokens?.[form.get('refresh_token') ?? '']
          : this.#authenticated(form.get('username'), form.get('password'));
      if (user === undefined) throw new ApiError(401, 'UNAUTHORIZED');
    } else if (request.headers.authorization !== undefined) {
      user = this.#user(request.headers.authorization);
      if (user === undefined) throw new ApiError(401, 'UNAUTHORIZED');
    }
    const token = randomUUID();
    const { strict = false, unreadable = [] } = this.#auth;
    if (strict && scopes.some((scope) => unreadable.some((name) => scope.includes(`:${name}:`))))
      throw new ApiError(403, 'DENIED');
    const access = new Map(
      scopes.flatMap((text) => text.split(' ')).map((text) => this.#grant(text, user)),
    );
    this.#tokens.set(token, { access, uses: this.#auth.uses ?? Infinity });
    sendJson(response, { [this.#auth.field ?? 'token']: token, expires_in: 60 });
  }

  #grant(scope: string, user: string | undefined): [string, Set<string>] {
    const [, name = '', actions = ''] = /^repository:(.+):([^:]+)$/.exec(scope) ?? [];
    const { publicPrefix } = this.#auth;
    const isPublic = publicPrefix !== undefined && name.startsWith(publicPrefix);
    const isUnreadable = this.#auth.unreadable?.includes(name) === true;
    const allowed = actions
      .split(',')
      .filter((action) => (user !== undefined && !isUnreadable) || (isPublic && action === 'pull'));
    return [name, new Set(allowed)];
  }

  #user(authorization: string): string | undefined {
    const pair = /^Basic (.+)$/.exec(authorization)?.[1];
    if (pair === undefined) return undefined;
    const text = Buffer.from(pair, 'base64').toString();
    const colon = text.indexOf(':');
    return this.#authenticated(text.slice(0, colon), text.slice(colon + 1));
  }

  #authenticated(user: string | null, password: string | null): string | undefined {
    return user !== null && password !== null && this.#auth.users[user] === password
      ? user
      : undefined;
  }
}
