/** The parts of a package URL (purl-spec), not encoded. */
export interface PackageUrlParts {
  readonly type: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version?: string | undefined;
  readonly qualifiers?: Readonly<Record<string, string | undefined>>;
}

/** Returns a package URL (purl-spec) with its qualifiers sorted. */
export function packageUrl(parts: PackageUrlParts): string {
  const { type, namespace, name, version } = parts;
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
  ].join('');
}
