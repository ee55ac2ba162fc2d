import type { InspectOptions } from '@lkt/attest';
import { componentLicense } from './deb-components.ts';

/** Returns the options with which images are described: licences of Debian packages are read. */
export async function inspectOptions(signal?: AbortSignal): Promise<InspectOptions> {
  const { parseCopyright } = await import('@lkt/debian');
  return { signal, parseCopyright: (text) => componentLicense(parseCopyright(text)) };
}
