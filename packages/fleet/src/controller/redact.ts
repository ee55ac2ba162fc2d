import { ProviderError } from '../provider.ts';

/** Minimum length of a quotation in characters. */
const WINDOW_CHARS = 8;

/** The part of a request that errors may repeat. */
interface Told {
  readonly metadata: Uint8Array | undefined;
  /** Names that messages may repeat, even if metadata contains them. */
  readonly names: readonly string[];
}

/**
 * Returns an error without quotes of metadata, which may contain secrets: services repeat what they
 * reject, and errors become events.
 */
export function withoutMetadata(error: unknown, told: Told): unknown {
  if (!(error instanceof ProviderError)) return error;
  const { failure, message, fix, detail, cause } = error;
  const said = cause instanceof Error ? cause.message : undefined;
  const [own, reason] = [message, said].map((text) => masked(text ?? '', told));
  if (own === message && (said === undefined || reason === said)) return error;
  return new ProviderError(failure, own ?? '', {
    ...(fix === undefined ? {} : { fix }),
    ...(detail === undefined ? {} : { detail }),
    ...(said === undefined ? {} : { cause: new Error(reason) }),
  });
}

function masked(text: string, { metadata, names }: Told): string {
  if (metadata === undefined || text.length < WINDOW_CHARS) return text;
  const secret = windowsOf([...textsIn(metadata), Buffer.from(metadata).toString('base64')]);
  for (const window of windowsOf(names)) secret.delete(window);
  let result = '';
  let hiddenUntil = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (secret.has(text.slice(index, index + WINDOW_CHARS))) {
      if (hiddenUntil <= index) result += '…';
      hiddenUntil = index + WINDOW_CHARS;
    }
    if (index >= hiddenUntil) result += text[index];
  }
  return result;
}

function windowsOf(texts: readonly string[]): Set<string> {
  const windows = new Set<string>();
  for (const text of texts)
    for (let end = WINDOW_CHARS; end <= text.length; end += 1)
      windows.add(text.slice(end - WINDOW_CHARS, end));
  return windows;
}

/** Returns the texts in JSON, in the form that messages of services have: on one line. */
function textsIn(metadata: Uint8Array): readonly string[] {
  const texts: string[] = [];
  JSON.parse(Buffer.from(metadata).toString('utf8'), (_key, value: unknown) => {
    if (typeof value === 'string') texts.push(value.replaceAll(/[\s\p{C}]+/gu, ' '));
    return value;
  });
  return texts;
}
