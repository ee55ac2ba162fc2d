import { isDigest } from '@lkt/core';
import type { EngineSpec } from './engine.ts';

const HASH = /^[0-9a-f]{16}$/;

/** Returns the description of a template, which {@link parseDescription} reads. */
export function formatDescription({ spec, image, template }: EngineSpec): string {
  return `${spec} ${image} ${template}`;
}

/** Returns the spec in the description of a template; undefined if lkt did not write it. */
export function parseDescription(text: string | undefined): EngineSpec | undefined {
  const [spec = '', image = '', template = '', ...more] = (text ?? '').split(' ');
  if (more.length > 0 || !HASH.test(spec) || !HASH.test(template) || !isDigest(image))
    return undefined;
  return { spec, image, template };
}
