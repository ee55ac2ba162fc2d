/** What of an address may be shown: neither a password nor a query, which may hold a signature that is as good. */
export function readableUrl(address: URL | string): string {
  if (typeof address === 'string' && !URL.canParse(address)) return 'an address that is none';
  const { protocol, host, pathname, search } = new URL(address);
  return `${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`;
}

/** Whether a host name, as `URL.hostname` has it, is this machine. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
