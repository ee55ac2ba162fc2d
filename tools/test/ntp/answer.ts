/** Returns the answer of an NTP server (RFC 5905) to a request, at a Unix time in seconds. */
export function answer(request: Buffer, now: number): Buffer {
  const packet = Buffer.alloc(48);
  // Version 4, server mode; stratum 1; precision 2^-10 s.
  packet.set([0x24, 1, 0, 0xf6]);
  put(packet, 16, now - 1);
  request.copy(packet, 24, 40, 48);
  put(packet, 32, now);
  put(packet, 40, now);
  return packet;
}

/** Writes a Unix time as an NTP timestamp: seconds since 1900 and their fraction. */
function put(packet: Buffer, at: number, seconds: number): void {
  const since1900 = seconds + 2_208_988_800;
  packet.writeUInt32BE(Math.floor(since1900) % 2 ** 32, at);
  packet.writeUInt32BE(Math.floor((since1900 % 1) * 2 ** 32), at + 4);
}
