import { ProviderError, type ProviderFailure } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf } from '../../rest/json-object.ts';
import { type RestAnswer, type RestCall, RestClient } from '../../rest/rest-client.ts';
import { type Token, TokenCache } from '../../rest/token-cache.ts';
import type { OpenStackSettings } from './settings.ts';

/** How to reach a cloud. */
export interface OpenStackAccess extends Omit<OpenStackSettings, 'caFile'> {
  /** Application credential. */
  readonly id: string;
  readonly secret: string;
  /** PEM. */
  readonly ca: string | undefined;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** A service of the catalog. */
type Service = 'compute' | 'image';

/** The project of a token, and its services. */
interface Session {
  readonly project: string;
  readonly urls: ReadonlyMap<string, string>;
}

const FIX =
  'give the application credential the role and the access rules of docs/fleet/openstack.md';
const PROJECT = /^[\w-]{1,64}$/;

/** Calls Nova and Glance by REST, with tokens of Keystone 3. */
export class OpenStackClient implements AsyncDisposable {
  readonly #access: OpenStackAccess;
  readonly #rest: RestClient;
  readonly #keystone: RestClient;
  readonly #tokens: TokenCache;
  #session: Session | undefined;

  constructor(access: OpenStackAccess) {
    const { ca, variables } = access;
    const service = {
      name: 'openstack',
      variables,
      ...(ca === undefined ? {} : { ca }),
      failureOf: failureByMessage,
      rightsFix: FIX,
    };
    this.#access = access;
    this.#tokens = new TokenCache(async (signal) => this.#authenticate(signal));
    this.#keystone = new RestClient({
      ...service,
      authorize: async () => ({}),
      rightsFix: 'check OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET',
    });
    this.#rest = new RestClient({
      ...service,
      authorize: async (signal, isRejected) => ({
        'x-auth-token': await this.#tokens.get(signal, isRejected),
      }),
    });
  }

  /** Returns the id of the project. */
  async project(signal: AbortSignal): Promise<string> {
    return (await this.#open(signal)).project;
  }

  /** @param path what follows the URL of the service */
  async call(service: Service, what: string, path: string, call: RestCall): Promise<RestAnswer> {
    const base = (await this.#open(call.signal)).urls.get(service) ?? '';
    return this.#rest.call(what, `${base}${path}`, call);
  }

  /** As {@link call}; undefined for an object that does not exist. */
  async find(
    service: Service,
    what: string,
    path: string,
    call: RestCall,
  ): Promise<JsonObject | undefined> {
    const base = (await this.#open(call.signal)).urls.get(service) ?? '';
    return (await this.#rest.callUnless('missing', what, `${base}${path}`, call))?.body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rest[Symbol.asyncDispose]();
    await this.#keystone[Symbol.asyncDispose]();
  }

  async #open(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    await this.#tokens.get(signal, false);
    if (this.#session === undefined) throw new Error('a token without its session');
    return this.#session;
  }

  async #authenticate(signal: AbortSignal): Promise<Token> {
    const { authUrl, id, secret } = this.#access;
    const identity = {
      methods: ['application_credential'],
      application_credential: { id, secret },
    };
    const { body, header } = await this.#keystone.call('token', `${authUrl}/auth/tokens`, {
      method: 'POST',
      json: { auth: { identity } },
      signal,
    });
    const text = header('x-subject-token') ?? '';
    const token = objectOf(body['token']);
    const [issued, expires] = [token['issued_at'], token['expires_at']].map((time) =>
      Date.parse(textOf(time)),
    );
    // Both by Keystone's clock.
    const lifetimeMs = (expires ?? Number.NaN) - (issued ?? Number.NaN);
    const project = textOf(objectOf(token['project'])['id']);
    if (!/^[\x21-\x7e]{1,8192}$/.test(text) || !(lifetimeMs > 0) || !PROJECT.test(project))
      throw new ProviderError('malformed', 'openstack: the response has no token of a project');
    const urls = new Map<string, string>();
    for (const service of ['compute', 'image'] as const)
      urls.set(service, this.#endpointOf(token['catalog'], service));
    this.#session = { project, urls };
    return { text, lifetimeMs };
  }

  /** Returns the URL of a service in the catalog, without "/" at its end. */
  #endpointOf(catalog: unknown, service: Service): string {
    const { region, interface: kind } = this.#access;
    const found = objectsOf(catalog)
      .filter(({ type }) => type === service)
      .flatMap(({ endpoints }) => objectsOf(endpoints))
      .find((one) => one['interface'] === kind && one['region'] === region);
    const url = textOf(found?.['url']).replace(/\/+$/, '');
    if (found === undefined)
      throw new ProviderError('invalid', `openstack: no ${kind} ${service} in region ${region}`, {
        fix: 'correct region, or interface, of the provider',
      });
    // The token would be sent in plain text.
    if (URL.canParse(url) && /^(?:https:|http:\/\/127\.0\.0\.1[:/])/.test(url))
      return service === 'image' && !url.endsWith('/v2') ? `${url}/v2` : url;
    throw new ProviderError('invalid', `openstack: the ${kind} ${service} has no https URL`, {
      fix: 'ask the operator for a TLS endpoint, or set interface of the provider',
    });
  }
}

function failureByMessage(code: string, message: string): ProviderFailure | undefined {
  if (/quota/i.test(message)) return 'capacity';
  return code === 'overLimit' ? 'throttled' : undefined;
}
