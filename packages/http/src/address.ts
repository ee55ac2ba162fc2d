/**
 * Returns an address for display, without password and query: a query may contain a signature that
 * grants access.
 */
export function redactUrl(address: URL | string): string {
  if (typeof address === 'string' && !URL.canParse(address)) return 'an invalid address';
  const { protocol, host, pathname, search } = new URL(address);
  return `${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`;
}

/** Reports whether a host name, as in `URL.hostname`, is a loopback address or localhost. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
