/** Debian's releases with security support, by number, and its suite without a number. */
const CODENAMES: ReadonlyMap<string, string> = new Map([
  ['11', 'bullseye'],
  ['12', 'bookworm'],
  ['13', 'trixie'],
  ['14', 'forky'],
  ['15', 'duke'],
  ['unstable', 'sid'],
]);

/**
 * Returns the codename of a release: `trixie` for `13`, `13.1`, `debian-13`, `trixie-security`.
 * Another text is returned unchanged.
 */
export function codenameOf(release: string): string {
  const [name = ''] = release.replace(/^debian-/, '').split('-', 1);
  return CODENAMES.get(name.split('.', 1)[0] ?? '') ?? name;
}
