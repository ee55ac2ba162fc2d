import { LktError } from '@lkt/core';

/** What a package is tagged with unless build.yml or the command line says otherwise. */
export const DEFAULT_TAG = '{{.Hash}}';

/**
 * Fills in a tag template: Go's text/template as far as a tag needs it, `{{.Hash}}` with optional blanks and trim
 * markers. An empty result becomes `latest`, as in LinuxKit: the tag of a package outside git.
 * @throws LktError CONFIG_INVALID for any other action, and for a result that is no tag.
 */
export function renderTag(template: string, hash: string): string {
  const rendered = template.replaceAll(
    ACTION,
    (action, before: string, body: string, after: string) => {
      if (body.trim() !== '.Hash') {
        throw new LktError(
          'CONFIG_INVALID',
          `the tag template "${template}" has ${action.trim()}`,
          {
            fix: 'use {{.Hash}}, the only value there is',
          },
        );
      }
      return `${before === '' ? leadingBlanks(action) : ''}${hash}${after === '' ? trailingBlanks(action) : ''}`;
    },
  );
  const tag = rendered === '' ? 'latest' : rendered;
  if (!TAG.test(tag)) {
    throw new LktError('CONFIG_INVALID', `"${tag}" is not a tag`, {
      fix: 'use up to 128 letters, digits, "_", "." and "-", not starting with "." or "-"',
    });
  }
  return tag;
}

const ACTION = /\s*\{\{(- )?(.*?)( -)?\}\}\s*/gs;

/** distribution spec, "Pulling manifests". */
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

function leadingBlanks(action: string): string {
  return /^\s*/.exec(action)?.[0] ?? '';
}

function trailingBlanks(action: string): string {
  return /\s*$/.exec(action)?.[0] ?? '';
}
