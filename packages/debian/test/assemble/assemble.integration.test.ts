import { Digester, silentReporter } from '@lkt/core';
import { writeTar } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../src/assemble/assemble.ts';
import { tempStore } from '../support.ts';
import { lockOf, SEVERAL, GOLDEN } from './assemble-fixture.ts';

describe('the same lock', () => {
  it('produces the same bytes with every decoder', async () => {
    const store = await tempStore();
    const lock = await lockOf(store, SEVERAL);
    for (const decoder of ['xz', 'dpkg-deb', 'wasm'] as const) {
      const digester = new Digester();
      const entries = assemble(lock, store, {}, { reporter: silentReporter, decoder });
      for await (const chunk of writeTar(entries)) digester.update(chunk);
      expect([decoder, digester.digest()]).toEqual([decoder, GOLDEN]);
    }
  });
});
