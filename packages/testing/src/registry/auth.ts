import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal, sendJson } from './answer.ts';
import { bodyOf } from './exchange.ts';
import type { RegistryOptions } from './options.ts';

type Auth = NonNullable<RegistryOptions['auth']>;

interface Token {
  /** `pull` and `push`, by repository. */
  readonly access: ReadonlyMap<string, ReadonlySet<string>>;
  uses: number;
}

/** Basic authentication, and Docker's token authentication with the service that gives tokens. */
export class Guard {
  readonly #auth: Auth;
  readonly #realm: string;
  readonly #tokens = new Map<string, Token>();

  constructor(auth: Auth, origin: string) {
    this.#auth = auth;
    this.#realm = auth.realm ?? `${origin}/token`;
  }

  /** @throws Refusal unless the request may do this; `name` is undefined for the registry as a whole */
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
      throw new Refusal(401, 'UNAUTHORIZED', {
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
    throw new Refusal(401, 'UNAUTHORIZED', {
      'www-authenticate': `Bearer realm="${this.#realm}",service="test"${scope}${error}`,
    });
  }

  /** https://distribution.github.io/distribution/spec/auth/token/ and /oauth/ */
  async answerToken(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    let scopes = url.searchParams.getAll('scope');
    let user: string | undefined;
    if (request.method === 'POST') {
      if (this.#auth.oauth2 === false) throw new Refusal(404, 'UNSUPPORTED');
      const form = new URLSearchParams((await bodyOf(request)).toString());
      scopes = form.getAll('scope');
      user =
        form.get('grant_type') === 'refresh_token'
          ? this.#auth.refreshTokens?.[form.get('refresh_token') ?? '']
          : this.#named(form.get('username'), form.get('password'));
      if (user === undefined) throw new Refusal(401, 'UNAUTHORIZED');
    } else if (request.headers.authorization !== undefined) {
      user = this.#user(request.headers.authorization);
      if (user === undefined) throw new Refusal(401, 'UNAUTHORIZED');
    }
    const token = randomUUID();
    const { strict = false, secret = [] } = this.#auth;
    if (strict && scopes.some((scope) => secret.some((name) => scope.includes(`:${name}:`))))
      throw new Refusal(403, 'DENIED');
    const access = new Map(
      scopes.flatMap((text) => text.split(' ')).map((text) => this.#granted(text, user)),
    );
    this.#tokens.set(token, { access, uses: this.#auth.uses ?? Infinity });
    sendJson(response, { [this.#auth.field ?? 'token']: token, expires_in: 60 });
  }

  #granted(scope: string, user: string | undefined): [string, Set<string>] {
    const [, name = '', actions = ''] = /^repository:(.+):([^:]+)$/.exec(scope) ?? [];
    const { publicPrefix } = this.#auth;
    const isPublic = publicPrefix !== undefined && name.startsWith(publicPrefix);
    const isSecret = this.#auth.secret?.includes(name) === true;
    const allowed = actions
      .split(',')
      .filter((action) => (user !== undefined && !isSecret) || (isPublic && action === 'pull'));
    return [name, new Set(allowed)];
  }

  #user(authorization: string): string | undefined {
    const pair = /^Basic (.+)$/.exec(authorization)?.[1];
    if (pair === undefined) return undefined;
    const text = Buffer.from(pair, 'base64').toString();
    const colon = text.indexOf(':');
    return this.#named(text.slice(0, colon), text.slice(colon + 1));
  }

  #named(user: string | null, password: string | null): string | undefined {
    return user !== null && password !== null && this.#auth.users[user] === password
      ? user
      : undefined;
  }
}
