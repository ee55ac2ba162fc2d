import { LktError } from '@lkt/core';

/** The default tag template of packages. */
export const DEFAULT_TAG = '{{.Hash}}';

/**
 * Renders a tag template, a subset of Go's text/template: `{{.Hash}}` with optional spaces and trim
 * markers. Returns `latest` if the result is empty, as LinuxKit does for a package outside git.
 * @throws CONFIG_INVALID for any other action, or if the result is not a valid tag
 */
export function renderTag(template: string, hash: string): string {
  const rendered = template.replaceAll(
    ACTION,
    (action, leading: string, trimLeft: string | undefined, body: string, ...rest) => {
      const [trimRight, trailing] = rest as [string | undefined, string];
      if (body.trim() !== '.Hash') {
        const problem = `unknown value ${action.trim()} in the tag template "${template}"`;
        throw new LktError('CONFIG_INVALID', problem, {
          fix: 'use {{.Hash}}, the only supported value',
        });
      }
      return [trimLeft ? '' : leading, hash, trimRight ? '' : trailing].join('');
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

const ACTION = /(\s*)\{\{(- )?(.*?)( -)?\}\}(\s*)/gs;

/** OCI distribution-spec, "Pulling manifests". */
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
