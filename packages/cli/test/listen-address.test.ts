import { expect, test } from 'vitest';
import { parseAddress } from '../src/flags/listen-address.ts';
import { accept } from './calls.ts';

test.for(['x', '127.0.0.1:99999', ':'])('rejects %s', (address) => {
  expect(() => parseAddress(address)).toThrow('is not an address and a port');
});

test.for(['serve', 'cache serve', 'fleet serve'])(
  '%s takes --listen and --port',
  async (command) => {
    await accept([...command.split(' '), '--listen', ':0']);
    await accept([...command.split(' '), '--port', ':0']);
  },
);
