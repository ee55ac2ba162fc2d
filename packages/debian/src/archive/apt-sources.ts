import { type Paragraph, parseDeb822, words } from '../deb/deb822.ts';

/** A `deb` entry of apt's configuration. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Whether apt verifies its signature. */
  readonly signed: boolean;
}

/**
 * Returns the enabled binary sources of a file in apt's deb822 format (sources.list(5)).
 * @throws ARCHIVE_INVALID
 */
export function parseDeb822Sources(text: string, what: string): AptSource[] {
  return parseDeb822(text, what).filter(isEnabled).flatMap(sourcesOf);
}

function isEnabled(paragraph: Paragraph): boolean {
  return !isNo(paragraph.get('enabled')) && words(paragraph.get('types')).includes('deb');
}

function sourcesOf(paragraph: Paragraph): AptSource[] {
  const signed = !isYes(paragraph.get('trusted'));
  const components = words(paragraph.get('components'));
  return words(paragraph.get('uris')).flatMap((uri) =>
    words(paragraph.get('suites')).map((suite) => ({ uri, suite, components, signed })),
  );
}

/**
 * Returns the binary sources of a file in the one-line format (sources.list(5)). Skips lines that
 * apt would reject.
 */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    const [, options, uri, suite, components] = match ?? [];
    if (uri === undefined || suite === undefined) return [];
    const trusted = words(options).find((option) => option.startsWith('trusted='));
    const signed = !isYes(trusted?.slice('trusted='.length));
    return [{ uri, suite, components: words(components), signed }];
  });
}

/** apt's `StringToBool`. */
function isYes(value: string | undefined): boolean {
  return /^(?:yes|true|with|on|enable|1)$/i.test(value ?? '');
}

function isNo(value: string | undefined): boolean {
  return /^(?:no|false|without|off|disable|0)$/i.test(value ?? '');
}
