import { type Cause, cause } from './cause.ts';
import { dayPattern, isEpochNear, isStampNear } from './dates.ts';

/** Facts about two builds from which a cause can be inferred. */
export interface BuildFacts {
  /** The time of the second build, in seconds since 1970. */
  readonly now: number;
  /** The instruction. */
  readonly command: string;
  /** The numbers of processors of the two builds. */
  readonly processors: readonly [number, number];
  /** The host names of both builds. */
  readonly hostnames: readonly string[];
  /** The release of the running kernel. */
  readonly kernel: string;
}

/** The first difference between two texts, with excerpts. */
export interface TextDifference {
  readonly first: string;
  readonly second: string;
  readonly cause: Cause;
}

/** Maximum length of an excerpt. */
const MAX_EXCERPT_LENGTH = 60;

/** Returns the cause of a difference between two texts, which have one char per byte. */
export function classifyText(first: string, second: string, facts: BuildFacts): TextDifference {
  if (isReordered(first, second)) {
    const [one, other] = differingLines(first, second)[0] ?? [first, second];
    return { first: excerpt(one), second: excerpt(other), cause: orderCause(facts.command) };
  }
  let fallback: TextDifference | undefined;
  for (const [one, other] of differingLines(first, second)) {
    const [a, b] = differingWords(one, other);
    const found = {
      first: excerpt(a),
      second: excerpt(b),
      cause: causeOf(a, b, one, other, facts),
    };
    if (!VAGUE_CAUSES.has(found.cause.kind)) return found;
    fallback ??= found;
  }
  return fallback ?? { first: excerpt(first), second: excerpt(second), cause: cause('unknown') };
}

/** Returns the cause of another order, which the files do not reveal, from the command. */
function orderCause(command: string): Cause {
  if (/\b(?:make|ninja)\b.* -j|\bxargs\b.* (?:-P|--max-procs)|\bparallel\b/.test(command))
    return cause('order', {
      text: 'the order in which parallel commands end',
      fix: 'let each command write a file of its own, and join the files in a fixed order',
    });
  if (/\bpython[\d.]*\b/.test(command))
    return cause('order', {
      text: 'the order of a set in Python, or of a directory',
      fix: 'sort it, or set PYTHONHASHSEED=0',
    });
  return cause('order');
}

/** Causes that a later line may determine more precisely. */
const VAGUE_CAUSES: ReadonlySet<string> = new Set(['unknown', 'random', 'machine']);

/** Reports whether two texts have the same lines, or the same words, in another order. */
function isReordered(first: string, second: string): boolean {
  return [/[\n\0]/, /[\s,;:]+/, /[\s,;:=&{}()[\]"']+/].some((separator) => {
    const [a, b] = [first, second].map((text) => text.split(separator).filter(Boolean).toSorted());
    return (
      a !== undefined &&
      b !== undefined &&
      a.length > 1 &&
      a.length === b.length &&
      a.every((word, index) => word === b[index])
    );
  });
}

/** Maximum number of differing lines that are examined. */
const MAX_LINES = 200;

function differingLines(first: string, second: string): (readonly [string, string])[] {
  const [a, b] = [first.split(/[\n\0]/), second.split(/[\n\0]/)];
  const pairs: (readonly [string, string])[] = [];
  for (let at = 0; at < Math.max(a.length, b.length) && pairs.length < MAX_LINES; at += 1) {
    const [one = '', other = ''] = [a[at], b[at]];
    if (one !== other) pairs.push([one, other]);
  }
  return pairs;
}

const WORD = /[\w.:+/@%-]/;

/** Returns the differing parts of two lines, extended to whole words. */
function differingWords(a: string, b: string): readonly [string, string] {
  const shortest = Math.min(a.length, b.length);
  let start = 0;
  while (start < shortest && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < shortest - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  while (start > 0 && WORD.test(a[start - 1] ?? '')) start -= 1;
  while (end > 0 && WORD.test(a.at(-end) ?? '')) end -= 1;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/i;
/** A part of a MAC or IPv6 address has a colon beside it. */
const CLOCK = /(?<![\d:])\d{1,2}:\d\d:\d\d(?![\d:])/;
const DURATION = /(?<![\w.])\d+(?:\.\d+)? ?(?:[num]?s|secs?|seconds?|min|minutes?)(?![0-9A-Za-z])/g;
const SHORT_CLOCK = /^\d{1,2}:\d\d(?: ?[AP]M|[+-]\d{4})?$/i;
const USER_IDS = /\b[ug]id=\d+(?:\([^)]*\))?/g;
/** A random name that programs give to a temporary file. */
const TEMPORARY = /^\/(?:var\/)?tmp\/[^/]*\w{6}/;
/** Addresses of programs, heap, libraries and stacks on 64-bit Linux. */
const ADDRESS = /(?:\b|0x)(?:5[5-6]|7[c-f])[0-9a-f]{10}\b/i;
/** Reports whether a text is such an address as a decimal number. */
function isDecimalAddress(text: string): boolean {
  return /^\d{14,15}$/.test(text) && ADDRESS.test(BigInt(text).toString(16));
}

const NUMBER = String.raw`-?\d+(?:\.\d+)?(?::\d+)*[%kKMGTiB]{0,3}`;
/** Numbers, with units or as times, but no version or address. */
const NUMBERS = new RegExp(`^${NUMBER}(?:[\\s,]+${NUMBER})*[\\s,]*$`);

function causeOf(a: string, b: string, one: string, other: string, facts: BuildFacts): Cause {
  const { now, command } = facts;
  if (UUID.test(a) && UUID.test(b)) return cause('random', { text: 'a random UUID' });
  const day = new RegExp(dayPattern(now), 'i');
  if (isTime(b, now) || isTime(a, now)) return cause('time', { text: 'the time of the build' });
  if ([a, b].every((text) => isStampNear(text, now)))
    return cause('time', { text: 'the time of the build' });
  if (day.test(other) && !day.test(one)) return cause('time', { text: 'the day of the build' });
  if (CLOCK.test(a) && CLOCK.test(b)) return cause('time', { text: 'the time of day' });
  if (one.replaceAll(DURATION, '') === other.replaceAll(DURATION, ''))
    return cause('time', { text: 'a duration' });
  if ([a, b].every((text) => ADDRESS.test(text) || isDecimalAddress(text))) return cause('address');
  if (isProcessorCount(a, b, facts)) return cause('processors');
  if (facts.hostnames.some((name) => hasName(a, name) || hasName(b, name)))
    return cause('hostname');
  if (facts.kernel !== '' && (a.includes(facts.kernel) || b.includes(facts.kernel)))
    return cause('kernel');
  if (one.replaceAll(USER_IDS, '') === other.replaceAll(USER_IDS, '')) return cause('owner');
  const hint = hintOf(command);
  if (hint === undefined && SHORT_CLOCK.test(a) && SHORT_CLOCK.test(b))
    return cause('time', { text: 'the time of day' });
  if (NUMBERS.test(a) && NUMBERS.test(b)) return hint ?? cause('machine');
  if (TEMPORARY.test(a) && TEMPORARY.test(b))
    return cause('random', { text: 'the random name of a temporary file' });
  if (a.startsWith('/') && b.startsWith('/')) return hint ?? cause('path');
  if (looksRandom(a, b)) return hint ?? cause('random', { text: randomText(a) });
  return hint ?? cause('unknown');
}

/**
 * Reports whether a text contains a name as a word. A name of two letters occurs in much random
 * data.
 */
function hasName(text: string, name: string): boolean {
  if (name === '') return false;
  const parts = text.split(name);
  return parts.some(
    (part, index) =>
      index > 0 && !/[0-9A-Za-z]$/.test(parts[index - 1] ?? '') && !/^[0-9A-Za-z]/.test(part),
  );
}

function isTime(text: string, now: number): boolean {
  return text.split(/[^\d.]+/).some((word) => isEpochNear(word.replace(/\.$/, ''), now));
}

function isProcessorCount(a: string, b: string, { processors }: BuildFacts): boolean {
  if (processors[0] === processors[1]) return false;
  // The whole text, or the end of an option.
  const word = (count: number): string => a.replace(/\d+$/, String(count));
  return /^\D*\d+$/.test(a) && a === word(processors[0]) && b === word(processors[1]);
}

/** Infers a cause from the command, if the files do not reveal it. */
function hintOf(command: string): Cause | undefined {
  if (
    /urandom|\/dev\/random|RANDOM|\brand(?:om)?\b|shuf\b|mktemp|uuid|keygen|genrsa|genpkey/i.test(
      command,
    )
  )
    return cause('random');
  if (/\/proc\/\S*maps/.test(command)) return cause('address');
  if (/\/proc\/uptime|\buptime\b|\btime\b/.test(command))
    return cause('time', { text: 'a duration' });
  if (/\bstat\b|\bls\b.* -\w*i|%i\b|\binode|\bdf\b|\bdu\b|\/proc\/\S*mount/.test(command))
    return cause('file-system');
  if (/\bdate\b/.test(command)) return cause('time');
  return undefined;
}

/** Reports whether two words of similar length have hardly any characters in common. */
function looksRandom(a: string, b: string): boolean {
  if (a.length < 6 || Math.abs(a.length - b.length) > a.length / 8) return false;
  const length = Math.min(a.length, b.length);
  let equal = 0;
  for (let at = 0; at < length; at += 1) if (a[at] === b[at]) equal += 1;
  return equal < length * 0.7;
}

function randomText(text: string): string {
  return /^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$/i.test(text)
    ? 'a hash of differing data, or random data'
    : 'random data';
}

function excerpt(text: string): string {
  const shown = Buffer.from(text.slice(0, MAX_EXCERPT_LENGTH), 'latin1').toString('utf8');
  return text.length > MAX_EXCERPT_LENGTH ? `${shown}…` : shown;
}
