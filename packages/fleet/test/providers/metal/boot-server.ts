import { mkdir } from 'node:fs/promises';
import { serveDirectory } from '@lkt/server';

/** Serves boot files as `lkt serve` does. */
export async function serveBootFiles(
  directory: string,
  requests: string[],
): Promise<{ readonly port: number; readonly ended: () => Promise<void> }> {
  await mkdir(directory, { recursive: true });
  const stop = new AbortController();
  const listening = Promise.withResolvers<string>();
  const running = serveDirectory(
    directory,
    { host: '127.0.0.1', port: 0 },
    {
      signal: stop.signal,
      onListen: listening.resolve,
      onRequest: (line) => void requests.push(line),
    },
  );
  const port = Number((await listening.promise).split(':').at(-1));
  return {
    port,
    ended: async () => {
      stop.abort();
      await running.catch(() => undefined);
    },
  };
}
