// Verifies what is in a store, as a process of its own: `node offline-verify.ts STORE DIGEST ROOT ISSUER SUBJECT`.

import { readFile } from 'node:fs/promises';
import { parseDigest } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { collectFromStore } from '../src/evidence/collect.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { verifyImage } from '../src/verify/verify.ts';

const [dir = '', digest = '', path = '', issuer = '', identity = ''] = process.argv.slice(2);
const root = await parseTrustedRoot(await readFile(path, 'utf8'), path);
const subject = parseDigest(digest);
const evidence = await collectFromStore(await openStore(dir, { create: false }), subject);
const trust = { root, identities: [{ issuer, subject: identity }] };
const started = performance.now();
const { signatures, rejections } = await verifyImage({ subject, evidence, trust });
const milliseconds = Math.round(performance.now() - started);
console.log(JSON.stringify({ signatures: signatures.length, rejections, milliseconds }));
