import { expect, test } from 'vitest';
import { packageNames, pinConfig } from '../src/config/pin-config.ts';

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

test('references to packages get tag and digest, all else stays', () => {
  const result = pinConfig({ path: 'a.yml', text }, pins);
  expect(result.text).toBe(
    text
      .replace(`lkt/init:old@${old}`, `lkt/init:aaa@${now}`)
      .replace('"lkt/dhcp"', `"lkt/dhcp:bbb@${now}"`),
  );
  expect(result.changes).toEqual([
    { line: 5, from: `lkt/init:old@${old}`, to: `lkt/init:aaa@${now}` },
    { line: 7, from: 'lkt/dhcp', to: `lkt/dhcp:bbb@${now}` },
  ]);
  expect(pinConfig({ path: 'a.yml', text: result.text }, pins).changes).toEqual([]);
});

test('the packages a config names, each once', () => {
  expect(packageNames({ path: 'a.yml', text })).toEqual(['other/kernel', 'lkt/init', 'lkt/dhcp']);
});
