import { expect, test } from 'vitest';
import { parseAddress } from '../src/flags/listen-address.ts';

test.for(['x', '127.0.0.1:99999', ':'])('rejects port %s', (port) => {
  expect(() => parseAddress('--port', port)).toThrow('is not an address and a port');
});
