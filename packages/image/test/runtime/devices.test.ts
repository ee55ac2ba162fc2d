import { expect, it } from 'vitest';
import { containerSpec } from '../../src/runtime/spec.ts';
import { parseConfig } from '../support.ts';

it('gives devices rules that runc takes: c for type u, and none for a FIFO', () => {
  const devices = [
    '{path: /dev/c, type: c, major: 1, minor: 3, mode: "600"}',
    '{path: /dev/u, type: u, major: 1, minor: 5, mode: "600"}',
    '{path: /dev/p, type: p, mode: "600"}',
  ];
  const text = `services: [{name: svc, image: "img:1", devices: [${devices.join(', ')}]}]`;
  const [service] = parseConfig({ path: 'a.yml', text }).services;
  const spec = containerSpec(service?.settings ?? {}, { ids: new Map(), volumes: new Map() });
  expect(JSON.parse(spec)).toMatchObject({
    linux: {
      devices: [{ type: 'c' }, { type: 'u' }, { type: 'p' }],
      resources: {
        devices: [
          { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
          { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' },
        ],
      },
    },
  });
});
