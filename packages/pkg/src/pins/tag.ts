import { LktError } from '@lkt/core';
import { parseReference, type Reference } from '@lkt/oci';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** Overrides for the names of packages in a registry. */
export interface TargetOptions {
  /** Overrides `org` of build.yml: `registry.example/team`. */
  readonly org?: string | undefined;
  /** Template; overrides `tag` of build.yml. */
  readonly tag?: string | undefined;
  /** A further tag, which is never moved to another image. */
  readonly release?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

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
      const before = (trimLeft ?? '') === '' ? leading : '';
      const after = (trimRight ?? '') === '' ? trailing : '';
      return `${before}${hash}${after}`;
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

/** Reports whether a tag template can render to a tag. */
export function mayRender(template: string, tag: string): boolean {
  const pattern = template
    .split(/\{\{.*?\}\}/)
    .map((text) => text.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
    .join('.*');
  return new RegExp(`^${pattern}$`).test(tag);
}

const ACTION = /(\s*)\{\{(- )?(.*?)( -)?\}\}(\s*)/gs;

/** OCI distribution-spec, "Pulling manifests". */
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Returns the name of a package in the target registry, with the tag of its sources. */
export function targetReference(
  item: Package,
  { hash }: Pick<SourceHash, 'hash'>,
  { org, tag = item.tag }: TargetOptions = {},
): Reference & { readonly tag: string } {
  const name = parseReference(org === undefined ? item.name : `${org}/${item.image}`);
  return { ...name, tag: renderTag(tag, hash) };
}
