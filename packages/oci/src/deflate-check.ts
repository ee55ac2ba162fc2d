import { config, versions } from 'node:process';
import { deflateRawSync } from 'node:zlib';
import { digestOf } from '@lkt/core';

let known: boolean | undefined;

/**
 * Whether the zlib in this Node compresses as the one lkt's digests were made with. Node's own does, on every CPU; a
 * Node linked with the system's zlib, or zlib-ng, does not.
 */
export function isKnownZlib(): boolean {
  known ??= isPinnedZlib() || passesKnownAnswer();
  return known;
}

/** Whether this is the zlib of the Node that lkt pins, for which a test asks: others wait for the answer. */
export function isPinnedZlib(): boolean {
  return versions.zlib === PINNED_ZLIB && !config.variables.node_shared_zlib;
}

const PINNED_ZLIB = '1.3.2.1-motley-8002e91';

export function passesKnownAnswer(): boolean {
  return digestOf(deflateRawSync(knownInput(), { level: 4 })) === KNOWN_ANSWER;
}

const KNOWN_ANSWER: string =
  'sha256:7ddc8501732b65c9175c07450e99e122712aebac1b0fecea93102dfb78b62596';

/** Text of repeated and changing words, and noise: each part of the matcher has something to do. */
export function knownInput(): Buffer {
  const input = Buffer.alloc(160 * 1024);
  let state = 1;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % limit;
  };
  const words = Array.from({ length: 300 }, () =>
    Array.from({ length: 2 + random(9) }, () => String.fromCharCode(97 + random(26))).join(''),
  );
  let used = 0;
  while (used < input.length) {
    if (random(400) === 0) {
      for (let noise = random(2000); noise > 0 && used < input.length; noise -= 1)
        input[used++] = random(256);
    }
    used += input.write(`${words[random(words.length)] ?? ''} `, used, 'latin1');
  }
  return input;
}
