import semver from 'semver';

/**
 * Compares two semantic versions (https://semver.org), such as those of npm packages, crates, and Go
 * modules. Negative if `a` is older.
 * @returns undefined if one of them is not a version: `(devel)`, a branch, a commit
 */
export function compareSemver(a: string, b: string): number | undefined {
  const left = parse(a);
  const right = parse(b);
  return left === null || right === null ? undefined : semver.compare(left, right);
}

/**
 * Parses the version of a package (`0.22.0`), a Go module (`v0.22.0`,
 * https://go.dev/ref/mod#versions), the toolchain (`go1.24.4`, `go1.25rc1`,
 * https://go.dev/doc/toolchain#version), or one of an advisory (`1.24.0-0`, `1.2`).
 */
function parse(text: string): semver.SemVer | null {
  const [, release, stage = '', count = ''] =
    /^(?:go|v)?(\d+(?:\.\d+){0,2})(?:(rc|beta)(\d+))?$/.exec(text) ?? [];
  if (release === undefined) return semver.parse(text);
  const numbers = [...release.split('.'), '0', '0'].slice(0, 3).join('.');
  // Advisories write 1.22.0-rc.2 for go1.22rc2.
  return semver.parse(stage === '' ? numbers : `${numbers}-${stage}.${count}`);
}
