import { LktError, parseYaml } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { test } from 'vitest';
import { parseTrust } from '../src/trust/parse-trust.ts';
import { parseConfig } from './support.ts';

const isRejection = (error: unknown): boolean => error instanceof LktError;

test('parseTrust only rejects with an LktError', async () => {
  const text = `required: true
trustedRoot: root.json
signers:
  - images: ["lkt/*"]
    threshold: 2
    keys: [keys/a.pub]
    identities:
      - {issuer: "https://issuer.example.com", subject: "a@example.com"}
    rebuilders: {keys: [b.pub]}
unsigned: ["docker.io/library/*"]
`;
  await fuzz(
    [Buffer.from(text), Buffer.from('{}')],
    (input) => parseTrust(parseYaml({ path: 'trust.yml', text: input.toString() })),
    isRejection,
  );
});

test('an image config only is rejected with an LktError', async () => {
  const text = `kernel:
  image: k:1
  cmdline: console=ttyS0
init: [a:1]
services:
  - name: x
    image: b:1
    binds: [/a:/b:ro]
    capabilities: [CAP_NET_ADMIN]
files:
  - {path: etc/x, contents: hello, mode: "0644"}
`;
  await fuzz(
    [Buffer.from(text)],
    (input) => parseConfig({ path: 'a.yml', text: input.toString() }),
    isRejection,
  );
});
