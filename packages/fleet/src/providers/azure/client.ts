import { setTimeout as sleep } from 'node:timers/promises';
import { ProviderError, type ProviderFailure } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf, wordsOf } from '../../rest/json-object.ts';
import { type RestAnswer, type RestCall, RestClient } from '../../rest/rest-client.ts';
import { azureTokens } from './credentials.ts';
import type { AzureSettings } from './settings.ts';

/** Versions of Azure's interfaces. */
const VERSIONS = {
  compute: '2024-11-01',
  disks: '2024-03-02',
  galleries: '2024-03-03',
  interfaces: '2018-10-01',
} as const;

/** Codes of Azure's errors, by their kind. The first match counts. */
const FAILURES: readonly (readonly [RegExp, ProviderFailure])[] = [
  [/^TooManyRequests|Throttl/, 'throttled'],
  [/Quota|AllocationFailed|SkuNotAvailable|OverconstrainedAllocation/, 'capacity'],
  [/^(?:Conflict|PreconditionFailed|AnotherOperationInProgress|OperationNotAllowed)/, 'conflict'],
  [/NotFound$/, 'missing'],
  [/^(?:AuthorizationFailed|InvalidAuthenticationToken|LinkedAuthorizationFailed)/, 'denied'],
  [/^(?:invalid_client|unauthorized_client|invalid_grant)/, 'denied'],
  [/^(?:InternalExecutionError|InternalServerError|RetryableError)/, 'unavailable'],
];
const MAX_PAGES = 500;
const MAX_POLLS = 720;
const POLL_MS = 5000;
const MAX_POLL_MS = 60_000;

/** Calls Azure Resource Manager by REST. */
export class AzureClient implements AsyncDisposable {
  /** Path of the resource group. */
  readonly group: string;
  readonly #endpoint: string;
  readonly #rest: RestClient;

  constructor(
    { subscription, resourceGroup, endpoint }: AzureSettings,
    variables: Readonly<Record<string, string | undefined>>,
  ) {
    const tokens = azureTokens(variables, endpoint);
    this.group = `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers`;
    this.#endpoint = endpoint ?? 'https://management.azure.com';
    this.#rest = new RestClient({
      name: 'azure',
      variables,
      authorize: async (signal, isRejected) => ({
        authorization: `Bearer ${await tokens.get(signal, isRejected)}`,
      }),
      failureOf: failureByCode,
      rightsFix: 'give the principal the role of docs/fleet/azure.md',
    });
  }

  /** Returns a resource; undefined if it does not exist. */
  async find(what: string, path: string, signal: AbortSignal): Promise<JsonObject | undefined> {
    const url = this.#urlOf(what, path);
    return (await this.#rest.callUnless('missing', what, url, { signal }))?.body;
  }

  /** Returns the items of all pages. */
  async list(what: string, path: string, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const items: JsonObject[] = [];
    let url = this.#urlOf(what, path);
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { body } = await this.#rest.call(what, url, { signal });
      // Azure states an empty list too.
      if (!Array.isArray(body['value']))
        throw new ProviderError('malformed', `azure: ${what}: the response has no list`);
      items.push(...objectsOf(body['value']));
      const next = textOf(body['nextLink']);
      if (next === '') return items;
      url = this.#ownUrl(what, next);
    }
    throw new ProviderError('malformed', `azure: ${what} has more than ${MAX_PAGES} pages`);
  }

  /**
   * Makes a change, waits for its end, and returns its result. A response header names the
   * operation.
   * @throws ProviderError
   */
  async change(what: string, path: string, call: RestCall): Promise<JsonObject> {
    const first = await this.#rest.call(what, this.#urlOf(what, path), call);
    const { signal } = call;
    const operation = first.header('azure-asyncoperation');
    const location = first.header('location');
    let answer: RestAnswer = first;
    for (let poll = 0; poll < MAX_POLLS; poll += 1) {
      if (operation === undefined && (answer.status !== 202 || location === undefined))
        return answer.body;
      const seconds = Number(answer.header('retry-after') ?? Number.NaN);
      await sleep(
        Number.isNaN(seconds) ? POLL_MS : Math.min(seconds * 1000, MAX_POLL_MS),
        undefined,
        {
          signal,
        },
      );
      const url = this.#ownUrl(what, operation ?? location ?? '');
      answer = await this.#rest.call(what, url, { signal });
      if (operation === undefined) continue;
      const status = textOf(answer.body['status']);
      if (status === 'Succeeded') return answer.body;
      if (status === 'Failed' || status === 'Canceled') throw errorOf(what, answer.body);
    }
    throw new ProviderError('unavailable', `azure: ${what} did not finish in time`);
  }

  /** Starts to delete a resource, if it exists, without waiting for the end. */
  async remove(what: string, path: string, signal: AbortSignal): Promise<void> {
    const url = this.#urlOf(what, path);
    await this.#rest.callUnless('missing', what, url, { method: 'DELETE', signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rest[Symbol.asyncDispose]();
  }

  #urlOf(what: string, path: string): string {
    const url = new URL(`${this.#endpoint}${this.group}${path}`);
    const kind = what.includes('networkInterfaces')
      ? 'interfaces'
      : what.startsWith('disks')
        ? 'disks'
        : what.startsWith('galleries')
          ? 'galleries'
          : 'compute';
    url.searchParams.set('api-version', VERSIONS[kind]);
    return url.href;
  }

  /** Returns a URL from a response. Rejects other hosts, which must not get the token. */
  #ownUrl(what: string, url: string): string {
    if (URL.canParse(url) && new URL(url).origin === new URL(this.#endpoint).origin) return url;
    throw new ProviderError('malformed', `azure: ${what}: a link points outside Azure`);
  }
}

function failureByCode(code: string): ProviderFailure | undefined {
  return FAILURES.find(([matches]) => matches.test(code))?.[1];
}

function errorOf(what: string, body: JsonObject): ProviderError {
  const error = objectOf(body['error']);
  const code = wordsOf(error['code']);
  const text = `azure: ${what}: ${code}: ${wordsOf(error['message'])}`;
  return new ProviderError(failureByCode(code) ?? 'invalid', text);
}
