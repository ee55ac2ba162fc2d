/**
 * Prints the digest of the tar of a lock's packages; assemble.test.ts runs it as a process of its
 * own.
 */
import { Digester, silentReporter } from '@lkt/core';
import { openStore, writeTar } from '@lkt/oci';
import { assemble } from '../../src/assemble/assemble.ts';
import { parseLock } from '../../src/lock/lock.ts';

const [store = '', text = ''] = process.argv.slice(2);
const lock = parseLock({ path: 'debian.lock', text });
const digester = new Digester();
const entries = assemble(lock, await openStore(store), {}, { reporter: silentReporter });
for await (const chunk of writeTar(entries)) digester.update(chunk);
console.log(digester.digest());
