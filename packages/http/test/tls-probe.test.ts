import { expect, it } from 'vitest';
import { answersTlsWithHttp } from '../src/tls-probe.ts';
import { serve } from './support.ts';

it('detects a server that responds to TLS in plain HTTP', async () => {
  const address = await serve(() => undefined);
  expect(await answersTlsWithHttp(new URL(address))).toBe(true);
});
