import { expect, test } from 'vitest';
import { packageNames, pinConfig, type PinnedConfig } from '../../src/config/pin-config.ts';
import { wantedFrom } from '../../src/pins/config-pins.ts';
import { parseConfig } from '../support.ts';

const old = `sha256:${'0'.repeat(64)}`;
const now = `sha256:${'1'.repeat(64)}`;
const pins = new Map([
  ['lkt/init', `lkt/init:aaa@${now}`],
  ['lkt/dhcp', `lkt/dhcp:bbb@${now}`],
]);

const text = `# A comment stays.
kernel:
  image: other/kernel:1@${old}
init:
  - lkt/init:old@${old}   # here too
onboot:
  - {name: dhcp, image: "lkt/dhcp"}
services:
  - name: again
    image: 'docker.io/lkt/dhcp:bbb@${now}'
  - name: local
    image: "@pkg:../pkg/x"
`;

function pinned(config: string): PinnedConfig {
  const file = { path: 'a.yml', text: config };
  return pinConfig(file, parseConfig(file), wantedFrom(pins, new Map()));
}

test('pins references to packages, and keeps everything else', () => {
  const result = pinned(text);
  expect(result.text).toBe(
    text
      .replace(`lkt/init:old@${old}`, `lkt/init:aaa@${now}`)
      .replace('"lkt/dhcp"', `"lkt/dhcp:bbb@${now}"`),
  );
  expect(result.changes).toEqual([
    { line: 5, from: `lkt/init:old@${old}`, to: `lkt/init:aaa@${now}` },
    { line: 7, from: 'lkt/dhcp', to: `lkt/dhcp:bbb@${now}` },
  ]);
  expect(pinned(result.text).changes).toEqual([]);
});

test('returns each package of a config once', () => {
  expect(packageNames(parseConfig({ path: 'a.yml', text }))).toEqual([
    'other/kernel',
    'lkt/init',
    'lkt/dhcp',
  ]);
});
