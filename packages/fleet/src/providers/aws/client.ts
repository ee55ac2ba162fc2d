import { Transform, type Readable } from 'node:stream';
import type { AwsSettings } from './settings.ts';
import { ProviderError } from '../../provider.ts';

/** Larger than any response of EC2 to the calls of lkt. */
const MAX_ANSWER_BYTES = 32 * 2 ** 20;
const CONNECT_MS = 10_000;
const ANSWER_MS = 60_000;

/** Options of the SDK's clients. They do not retry: the controller does, after a new list. */
export function clientOptions({ region, profile, endpoint }: AwsSettings): {
  readonly region: string;
  readonly profile?: string;
  readonly endpoint?: string;
  readonly maxAttempts: number;
  readonly requestHandler: {
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly throwOnRequestTimeout: boolean;
  };
} {
  return {
    region,
    ...(profile === undefined ? {} : { profile }),
    ...(endpoint === undefined ? {} : { endpoint }),
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
    },
  };
}

/** Bounds the size of a client's answers, which the SDK reads whole. */
export function limitAnswers({ middlewareStack: stack }: Limitable): void {
  stack.add(limitAnswer as never, { step: 'deserialize', priority: 'low' } as never);
}

/** Middleware between the connection and the parser. */
function limitAnswer(next: Handler): Handler {
  return async (args) => {
    const result = await next(args);
    const { response } = result;
    if (response.body !== undefined) response.body = limited(response.body);
    return result;
  };
}

/** A client of the SDK. */
interface Limitable {
  readonly middlewareStack: { readonly add: (middleware: never, options: never) => void };
}

type Handler = (args: unknown) => Promise<{ readonly response: { body?: Readable } }>;

function limited(body: Readable): Readable {
  let bytes = 0;
  const limit = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES)
        done(new ProviderError('malformed', 'aws: the response exceeds 32 MiB'));
      else done(null, chunk);
    },
  });
  body.on('error', (error) => limit.destroy(error));
  return body.pipe(limit);
}
