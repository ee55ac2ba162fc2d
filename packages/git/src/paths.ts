/** Reports whether `path` is the directory `parent` or inside it, by name; '' is the top. */
export function isUnder(path: string, parent: string): boolean {
  return parent === '' || path === parent || path.startsWith(`${parent}/`);
}

/** Returns the directory of a path; '' for the top. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}
