/**
 * A challenge of a `WWW-Authenticate` header (RFC 9110, 11.6.1): `Bearer realm="…",service="…"`.
 */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  /** Names are in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PARAMETER = new RegExp(
  `^(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))\\s*(?:,|$)\\s*`,
);
const SCHEME = new RegExp(`^(${TOKEN})(?:\\s+|\\s*,\\s*|$)`);
/** Credentials without parameters, such as those of Negotiate. */
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*\s*(?:,|$)\s*/;

/**
 * Parses a header with any number of challenges, separated by commas like their parameters. Stops
 * at a malformed one.
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header.replace(/^[\s,]+/, '');
  while (rest !== '') {
    const scheme = SCHEME.exec(rest);
    if (scheme === null) break;
    rest = rest.slice(scheme[0].length);
    const parameters: Record<string, string> = {};
    for (let match = PARAMETER.exec(rest); match !== null; match = PARAMETER.exec(rest)) {
      const [all, name = '', quoted, plain = ''] = match;
      parameters[name.toLowerCase()] ??= quoted?.replaceAll(/\\(.)/g, '$1') ?? plain;
      rest = rest.slice(all.length);
    }
    if (Object.keys(parameters).length === 0 && !SCHEME_AHEAD.test(rest))
      rest = rest.replace(TOKEN68, '');
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters });
    rest = rest.replace(/^[\s,]+/, '');
  }
  return challenges;
}

/** A scheme followed by a parameter: the start of the next challenge. */
const SCHEME_AHEAD = new RegExp(`^${TOKEN}\\s+${TOKEN}\\s*=`);
