import { config, versions } from 'node:process';
import { deflateRawSync } from 'node:zlib';
import { digestOf } from '@lkt/core';

let known: boolean | undefined;

/**
 * Reports whether this Node's zlib compresses to the bytes of lkt's golden digests. The zlib
 * bundled with Node does, on every CPU; a system zlib or zlib-ng does not.
 */
export function isKnownZlib(): boolean {
  known ??= isPinnedZlib() || passesKnownAnswer();
  return known;
}

/**
 * Reports whether this is the bundled zlib of the Node version that lkt pins, whose known answer a
 * test verifies. Other versions compute the answer at first use.
 */
export function isPinnedZlib(): boolean {
  return versions.zlib === PINNED_ZLIB && !config.variables.node_shared_zlib;
}

const PINNED_ZLIB = '1.3.2.1-motley-8002e91';

/** Reports whether zlib compresses `knownInput()` to the expected bytes. */
export function passesKnownAnswer(): boolean {
  return digestOf(deflateRawSync(knownInput(), { level: 4 })) === KNOWN_ANSWER;
}

const KNOWN_ANSWER: string =
  'sha256:7ddc8501732b65c9175c07450e99e122712aebac1b0fecea93102dfb78b62596';

/**
 * Returns fixed input of repeated words, varied words and noise that exercises every part of zlib's
 * matcher.
 */
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
