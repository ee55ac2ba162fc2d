/**
 * Returns the branch of an Alpine release, as advisories name it: `v3.20` for `3.20.3`, `v3.20` and
 * `alpine-3.20.3`. Another text is returned unchanged, such as `edge`, from which no branch has
 * come yet.
 */
export function branchOf(release: string): string {
  const name = release.replace(/^alpine[-_:]?/i, '');
  // Such as 3.23_alpha20250612 in the os-release of edge.
  if (/_alpha\d*$/.test(name)) return 'edge';
  const [, branch] = /^v?(\d+\.\d+)(?:[._][a-z0-9]+)*$/i.exec(name) ?? [];
  return branch === undefined ? name : `v${branch}`;
}
