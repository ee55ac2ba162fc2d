import { randomBytes } from 'node:crypto';
import { digestOf } from '@lkt/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClient, type HttpClient } from '../src/client.ts';
import { serve, serveSecurely } from './support.ts';
import type { HttpOptions } from '../src/options.ts';

function client(options: HttpOptions = {}): HttpClient {
  const made = createHttpClient({ backoff: [], ...options });
  onTestFinished(async () => made[Symbol.asyncDispose]());
  return made;
}

describe('large content', () => {
  const content = randomBytes(9e6);
  const digest = digestOf(content);

  it.each([false, true])(
    'is sent and received unchanged, canReuseBuffers: %s',
    async (canReuseBuffers) => {
      const received: string[] = [];
      const listener: Parameters<typeof serve>[0] = (request, response) => {
        const parts: Buffer[] = [];
        request.on('data', (data: Buffer) => parts.push(data));
        request.on('end', () => {
          received.push(digestOf(Buffer.concat(parts)));
          response.end(content);
        });
      };
      const { address, ca } = await serveSecurely(listener);
      const http = client({ ca: [ca] });
      for (const url of [await serve(listener), address]) {
        const parts: Uint8Array[] = [];
        const coming = await http.download(url, { digest, canReuseBuffers });
        for await (const part of coming) {
          parts.push(canReuseBuffers ? Buffer.from(part) : part);
          // A slow consumer finds the chunk unchanged.
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(digestOf(Buffer.concat(parts))).toBe(digest);
        const memory = [Buffer.alloc(1e6), Buffer.alloc(1e6)];
        async function* going(): AsyncGenerator<Uint8Array> {
          for (let start = 0, turn = 0; start < content.length; start += 1e6, turn = 1 - turn) {
            const part = memory[turn] ?? Buffer.of();
            content.copy(part, 0, start, start + 1e6);
            yield part;
          }
        }
        const headers = { 'content-length': String(content.length) };
        await (await http.request(url, { method: 'PUT', headers, body: going })).discard();
      }
      expect(received).toEqual([digestOf(''), digest, digestOf(''), digest]);
    },
  );
});
