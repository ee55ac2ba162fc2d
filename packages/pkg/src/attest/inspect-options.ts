import type { InspectOptions } from '@lkt/attest';

/** Returns the options with which images are described: licences of Debian packages are read. */
export async function inspectOptions(signal?: AbortSignal): Promise<InspectOptions> {
  // Loaded only now: most commands describe nothing.
  const { parseCopyright } = await import('@lkt/debian');
  const { componentLicense } = await import('./deb-components.ts');
  return { signal, parseCopyright: (text) => componentLicense(parseCopyright(text)) };
}
