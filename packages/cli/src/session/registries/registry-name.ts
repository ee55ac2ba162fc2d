import { LktError } from '@lkt/core';
import { parseReference } from '@lkt/oci';

/**
 * Returns the registry that the user names, as in references: `registry.example:5000`.
 * @throws LktError USAGE_INVALID
 */
export function registryName(text: string): string {
  const found = parse(text);
  if (found !== undefined) return found;
  const host = text.replace(/^https?:\/\//i, '').replace(/\/.*$/s, '');
  throw new LktError('USAGE_INVALID', `"${text}" is not the name of a registry`, {
    fix:
      parse(host) === undefined
        ? 'write a host, such as registry.example, docker.io or localhost:5000'
        : `write the host alone: ${host}`,
  });
}

function parse(text: string): string | undefined {
  try {
    const { domain, path } = parseReference(`${text}/x`);
    const isWhole = path === 'x' || (domain === 'docker.io' && path === 'library/x');
    return isWhole ? domain : undefined;
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  }
}
