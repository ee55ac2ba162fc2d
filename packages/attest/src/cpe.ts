/**
 * Returns a CPE 2.3 name as a formatted string (NIST IR 7695, 6.2) of a product at a version.
 * @param part `a` for an application, `o` for an operating system
 * @param vendor `*` if it is not known
 */
export function cpeName(part: 'a' | 'o', vendor: string, product: string, version: string): string {
  const fields = [vendor === '*' ? '*' : quote(vendor), quote(product), quote(version)];
  return `cpe:2.3:${part}:${fields.join(':')}${':*'.repeat(7)}`;
}

/** Quotes every character that is not a letter, a digit, or one of `-._`. */
function quote(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9._-]/g, String.raw`\$&`);
}
