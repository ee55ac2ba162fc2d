import { resolve } from 'node:path';
import { createHttpClient, type HttpClient } from '@lkt/http';
import type { EventSettings } from '../config/fleet-yml.ts';
import { runProgram } from '../program.ts';
import { readSecret } from '../secret-file.ts';
import type { FleetEvent } from './event.ts';

/** Options of {@link EventHooks}. */
export interface EventHookOptions {
  readonly settings: EventSettings;
  /** Base of relative paths. */
  readonly dir: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Receives the message of each failure; it contains no token. */
  readonly fail: (message: string) => void;
  /** Time limit of the program and of the webhook, per event; default: 30 s. */
  readonly limitMs?: number;
}

const LIMIT_MS = 30_000;
/** Maximum number of queued events. More are dropped, and counted. */
const MAX_WAITING = 1000;

/**
 * Runs the command and calls the webhook for each event, in order. The controller does not wait for
 * them, and a failure of either stops no change of a node.
 */
export class EventHooks implements AsyncDisposable {
  readonly #options: EventHookOptions;
  readonly #http: HttpClient;
  readonly #token: string | undefined;
  #last: Promise<void> = Promise.resolve();
  /** Ends the deliveries when the controller ends. */
  readonly #end = new AbortController();
  #waiting = 0;
  #lost = 0;

  private constructor(options: EventHookOptions, token: string | undefined) {
    this.#options = options;
    this.#token = token;
    this.#http = createHttpClient({ env: options.variables, userAgent: 'lkt' });
  }

  /** @throws LktError NOT_FOUND, ACCESS_DENIED for the file of the token */
  static async open(options: EventHookOptions): Promise<EventHooks> {
    const file = options.settings.webhook?.tokenFile;
    const token = file === undefined ? undefined : await readSecret(resolve(options.dir, file));
    return new EventHooks(options, token);
  }

  /** Queues an event. Drops it if the queue is full. */
  emit(event: FleetEvent): void {
    if (this.#waiting >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    this.#waiting += 1;
    this.#last = this.#after(this.#last, event);
  }

  async #after(before: Promise<void>, event: FleetEvent): Promise<void> {
    await before;
    if (this.#end.signal.aborted) this.#lost += 1;
    else await this.#deliver(event);
    this.#waiting -= 1;
    // At the end all of them are counted first.
    if (this.#lost === 0 || (this.#end.signal.aborted && this.#waiting > 0)) return;
    this.#options.fail(`${this.#lost} events were lost: the program or the webhook is too slow`);
    this.#lost = 0;
  }

  /** Waits until all queued events are delivered. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Waits for the queue up to the limit of one event. Drops and counts the rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#end.abort(), this.#options.limitMs ?? LIMIT_MS);
    await this.#last;
    clearTimeout(timer);
    await this.#http[Symbol.asyncDispose]();
  }

  async #deliver(event: FleetEvent): Promise<void> {
    const { settings, signal, limitMs = LIMIT_MS } = this.#options;
    if (signal.aborted) return;
    const line = `${JSON.stringify(event)}\n`;
    const attempt = async (what: string, run: (limit: AbortSignal) => Promise<void>) => {
      const limit = AbortSignal.any([signal, this.#end.signal, AbortSignal.timeout(limitMs)]);
      await run(limit).catch((error: unknown) => {
        if (signal.aborted) return;
        const said = error instanceof Error ? error.message : String(error);
        const cause = limit.aborted ? `no end after ${limitMs / 1000} s` : said;
        this.#options.fail(`${what}: ${cause}`);
      });
    };
    const { command, webhook } = settings;
    if (command !== undefined) {
      const variables = { LKT_EVENT: event.kind, LKT_NODE: event.node ?? '' };
      await attempt('event program', async (limit) => runProgram(command, variables, line, limit));
    }
    if (webhook !== undefined)
      await attempt('webhook', async (limit) => this.#post(webhook.url, line, limit));
  }

  async #post(url: string, body: string, signal: AbortSignal): Promise<void> {
    const response = await this.#http.request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      },
      body,
      signal,
      redirect: false,
    });
    await response.discard();
    const { status } = response;
    if (status < 200 || status >= 300) throw new Error(`status ${status}`);
  }
}
