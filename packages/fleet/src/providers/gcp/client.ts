import { ProviderError, type ProviderFailure } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf, wordsOf } from '../../rest/json-object.ts';
import { type RestAnswer, type RestCall, RestClient } from '../../rest/rest-client.ts';
import { type GcpCredentials, gcpTokens } from './credentials.ts';
import type { GcpLocation, GcpSettings } from './settings.ts';

/** Reasons of Google's errors, by their kind. The first match counts. */
const FAILURES: readonly (readonly [RegExp, ProviderFailure])[] = [
  [/rateLimit|RATE_LIMIT/, 'throttled'],
  [/quota|QUOTA|RESOURCE_POOL_EXHAUSTED|RESOURCE_EXHAUSTED|stockout/i, 'capacity'],
  [/^(?:alreadyExists|RESOURCE_ALREADY_EXISTS|conditionNotMet|resourceInUse)/, 'conflict'],
  [/^(?:notFound|RESOURCE_NOT_FOUND)/, 'missing'],
  [/^(?:resourceNotReady|RESOURCE_NOT_READY|backendError|INTERNAL_ERROR)/, 'unavailable'],
  [/^(?:forbidden|accessNotConfigured|PERMISSION|invalid_grant|access_denied)/, 'denied'],
];
const MAX_PAGES = 500;
const PAGE_SIZE = 500;
/** Google's call that waits for an operation returns after two minutes. */
const WAIT_MS = 150_000;
const MAX_WAITS = 30;
const OPERATION = /^[a-z0-9][a-z0-9-]{0,127}$/i;

/** Calls Compute Engine and Cloud Storage by REST. */
export class GcpClient implements AsyncDisposable {
  readonly rest: RestClient;
  /** URL of the project at Compute Engine. */
  readonly project: string;
  readonly storage: string;
  readonly #location: GcpLocation;

  constructor({ project, location, endpoint }: GcpSettings, credentials: GcpCredentials) {
    const tokens = gcpTokens(credentials, endpoint);
    this.#location = location;
    this.project = `${endpoint ?? 'https://compute.googleapis.com'}/compute/v1/projects/${project}`;
    this.storage = endpoint ?? 'https://storage.googleapis.com';
    this.rest = new RestClient({
      name: 'gcp',
      variables: credentials.variables,
      authorize: async (signal, isRejected) => ({
        authorization: `Bearer ${await tokens.get(signal, isRejected)}`,
      }),
      failureOf: failureByReason,
      rightsFix: 'give the service account the role of docs/fleet/gcp.md',
    });
  }

  /** URL of the zone or region of the groups. */
  get place(): string {
    return 'zone' in this.#location
      ? `${this.project}/zones/${this.#location.zone}`
      : `${this.project}/regions/${this.#location.region}`;
  }

  /** URL of the beta API, which has more fields. */
  get betaPlace(): string {
    return this.place.replace('/compute/v1/', '/compute/beta/');
  }

  /** Returns an object; undefined if it does not exist. */
  async find(what: string, url: string, signal: AbortSignal): Promise<JsonObject | undefined> {
    return (await this.rest.callUnless('missing', what, url, { signal }))?.body;
  }

  /** Reads pages until the last. */
  async pages(
    what: string,
    url: string,
    { method, signal }: RestCall,
    read: (body: JsonObject) => void,
  ): Promise<void> {
    let token = '';
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const address = new URL(url);
      address.searchParams.set('maxResults', String(PAGE_SIZE));
      if (token !== '') address.searchParams.set('pageToken', token);
      const { body } = await this.rest.call(what, address.href, {
        ...(method === undefined ? {} : { method }),
        signal,
      });
      // Google leaves out an empty list of items. The kind tells it from a truncated response.
      const hasKind = method !== undefined || textOf(body['kind']).endsWith('List');
      if (!hasKind || typeof (body['items'] ?? {}) !== 'object')
        throw new ProviderError('malformed', `gcp: ${what}: the response has no list`);
      read(body);
      token = textOf(body['nextPageToken']);
      if (token === '') return;
    }
    throw new ProviderError('malformed', `gcp: ${what} has more than ${MAX_PAGES} pages`);
  }

  /** Makes a change, and awaits its end. @throws ProviderError */
  async change(what: string, url: string, call: RestCall): Promise<void> {
    let answer: RestAnswer = await this.rest.call(what, url, call);
    for (let wait = 0; wait < MAX_WAITS; wait += 1) {
      const { body } = answer;
      if (body['status'] === 'DONE') return requireSuccess(what, body);
      const name = textOf(body['name']);
      if (!OPERATION.test(name))
        throw new ProviderError('malformed', `gcp: ${what}: an operation without a name`);
      const place = textOf(body['zone']) || textOf(body['region']);
      const scope = place === '' ? `${this.project}/global` : this.place;
      answer = await this.rest.call(what, `${scope}/operations/${name}/wait`, {
        method: 'POST',
        signal: call.signal,
        timeoutMs: WAIT_MS,
      });
    }
    throw new ProviderError('unavailable', `gcp: ${what} did not finish in time`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rest[Symbol.asyncDispose]();
  }
}

function failureByReason(code: string): ProviderFailure | undefined {
  return FAILURES.find(([matches]) => matches.test(code))?.[1];
}

/** @throws ProviderError for an operation that failed */
function requireSuccess(what: string, body: JsonObject): void {
  const [error] = objectsOf(objectOf(body['error'])['errors']);
  if (error === undefined) return;
  const code = wordsOf(error['code']);
  const text = `gcp: ${what}: ${code}: ${wordsOf(error['message'])}`;
  throw new ProviderError(failureByReason(code) ?? 'invalid', text);
}
