import { describe, expect, it } from 'vitest';
import { serve, mirror, get } from './download-fixture.ts';

describe('download', () => {
  it('goes through a proxy', async () => {
    const asked: (string | undefined)[] = [];
    const address = await serve(({ url }, response) => {
      asked.push(url);
      response.end('by proxy');
    });
    const env = { http_proxy: new URL(address).origin };
    const source = { ...mirror('http://mirror.test/debian'), env };
    expect(await get(source)).toBe('by proxy');
    expect(asked).toEqual(['http://mirror.test/debian/pool/a']);
  });
});
