/** The parts of a package URL (purl-spec), not encoded. */
export interface PackageUrlParts {
  readonly type: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version?: string | undefined;
  readonly qualifiers?: Readonly<Record<string, string | undefined>>;
  /** A path inside the package. */
  readonly subpath?: string | undefined;
}

/** Returns a package URL (purl-spec) with its qualifiers sorted. */
export function packageUrl(parts: PackageUrlParts): string {
  const { type, namespace, name, version, subpath } = parts;
  const path = [...(namespace?.split('/') ?? []), name].map(encodeURIComponent).join('/');
  const qualifiers = Object.entries(parts.qualifiers ?? {})
    .flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}=${encodeURIComponent(value).replaceAll('%2F', '/')}`],
    )
    .toSorted();
  return [
    `pkg:${type}/${path}`,
    version === undefined ? '' : `@${encodeURIComponent(version)}`,
    qualifiers.length === 0 ? '' : `?${qualifiers.join('&')}`,
    subpath === undefined ? '' : `#${subpath.split('/').map(encodeURIComponent).join('/')}`,
  ].join('');
}

/**
 * Parses a package URL (purl-spec, "How to parse a purl string in its components"). An empty
 * version, qualifier or subpath counts as none.
 * @returns undefined if the text is no package URL
 */
export function parsePackageUrl(text: string): PackageUrlParts | undefined {
  const [, type, path, version = '', query = '', subpath = ''] =
    /^pkg:\/{0,2}([A-Za-z][A-Za-z0-9.+-]*)\/([^@?#]+)(?:@([^?#]*))?(?:\?([^#]*))?(?:#\/*(.*?)\/*$)?/s.exec(
      text,
    ) ?? [];
  if (type === undefined || path === undefined) return undefined;
  try {
    const segments = path.split('/').filter(Boolean).map(decodeURIComponent);
    const name = segments.pop();
    if (name === undefined) return undefined;
    return {
      type: type.toLowerCase(),
      namespace: segments.length === 0 ? undefined : segments.join('/'),
      name,
      version: version === '' ? undefined : decodeURIComponent(version),
      qualifiers: Object.fromEntries(
        query
          .split('&')
          .filter(Boolean)
          .map((pair) => {
            const [key = '', ...value] = pair.split('=');
            return [key.toLowerCase(), decodeURIComponent(value.join('='))] as const;
          })
          .filter(([, value]) => value !== ''),
      ),
      subpath: subpath === '' ? undefined : decodeURIComponent(subpath),
    };
  } catch (error) {
    // An invalid percent encoding.
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
