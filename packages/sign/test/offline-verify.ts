// Verifies an image in a store, in a process of its own: `node offline-verify.ts STORE DIGEST ROOT
// ISSUER SUBJECT`.

import { readFile } from 'node:fs/promises';
import { parseDigest } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { collectFromStore } from '../src/referrers/collect-signatures.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { verifyImage } from '../src/verify/verify-image.ts';

const [dir = '', digest = '', path = '', issuer = '', identity = ''] = process.argv.slice(2);
const root = await parseTrustedRoot(await readFile(path, 'utf8'), path);
const subject = parseDigest(digest);
const collected = await collectFromStore(await openStore(dir, { create: false }), subject);
const trust = { root, identities: [{ issuer, subject: identity }] };
const started = performance.now();
const { signatures, rejections } = await verifyImage({ subject, collected, trust });
const milliseconds = Math.round(performance.now() - started);
console.log(JSON.stringify({ signatures: signatures.length, rejections, milliseconds }));
