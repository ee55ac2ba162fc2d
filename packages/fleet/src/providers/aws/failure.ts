import { isErrno } from '@lkt/core';
import { ProviderError, type ProviderFailure } from '../../provider.ts';

/** Names of EC2's errors, by their kind. The first match counts. */
const FAILURES: readonly (readonly [RegExp, ProviderFailure, string?])[] = [
  [
    /^RequestLimitExceeded$|^Throttl|^TooManyRequests|^SlowDown$|^EC2ThrottledException$|^ResourceContention/,
    'throttled',
  ],
  [/^Insufficient|LimitExceeded$|^(?:Max|Max.*Count)Exceeded|QuotaExceeded/, 'capacity'],
  [
    /^Unauthorized|^AuthFailure$|^AccessDenied|^ExpiredToken|^InvalidClientTokenId$|^OptInRequired$|^SignatureDoesNotMatch$|^RequestExpired$/,
    'denied',
    'give the credentials the policy of docs/fleet/aws.md',
  ],
  [
    /^CredentialsProviderError$|^TokenProviderError$/,
    'denied',
    'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile of the provider',
  ],
  [
    /^InvalidInstanceID\.|^InvalidLaunchTemplate(?:Name|Id)\.NotFound|^ActiveInstanceRefreshNotFound/,
    'missing',
  ],
  [
    /^IdempotentParameterMismatch$|^InvalidAMIName\.Duplicate$|^IncorrectInstanceState$|^AlreadyExists|AlreadyExistsException$|^InstanceRefreshInProgress|^ScalingActivityInProgress/,
    'conflict',
  ],
  [
    /^Invalid|^Missing|^Unsupported|^Unknown|^Validation|^MalformedQuery|^VPCIdNotSpecified|^OperationNotPermitted/,
    'invalid',
  ],
];

const MAX_MESSAGE_CHARS = 300;

/**
 * Converts an error of the SDK. The message includes AWS's, which has identifiers but no
 * credentials.
 */
export function awsError(call: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ProviderError || !(error instanceof Error)) return error;
  const details = error as Error & {
    readonly Code?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const name = typeof details.Code === 'string' ? details.Code : error.name;
  const rule = FAILURES.find(([matches]) => matches.test(name));
  const status = details.$metadata?.httpStatusCode ?? 0;
  const failure = rule?.[1] ?? otherFailure(error, name, status);
  const text = error.message.replaceAll(/\s+/g, ' ').slice(0, MAX_MESSAGE_CHARS);
  return new ProviderError(failure, `aws: ${call}: ${name}: ${text}`, { fix: rule?.[2] });
}

function otherFailure(error: Error, name: string, status: number): ProviderFailure {
  if (status >= 500 || name === 'TimeoutError' || name === 'AbortError') return 'unavailable';
  if (isErrno(error, 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'EPIPE', 'ETIMEDOUT'))
    return 'unavailable';
  // The SDK could not parse the response, or EC2 rejected the request with an unlisted code.
  return status >= 400 ? 'invalid' : 'malformed';
}
