/**
 * Tells haproxy which nodes of fleet.yml to use, by haproxy's socket for administration.
 *
 *     node haproxy.mjs drain SOCKET    leads clients away from the node LKT_NODE, and waits
 *     node haproxy.mjs event SOCKET    reads an event, and uses a node that was replaced again
 *
 * Without haproxy no client uses a node, so there is nothing to do.
 */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const BACKEND = 'nodes';
const POLL_MS = 200;
const [, , mode, socket = ''] = process.argv;

/** Sends a command, and returns the answer. */
async function send(command) {
  const connection = connect(socket);
  connection.end(`${command}\n`);
  return text(connection);
}

/** Changes the state of a server: haproxy answers nothing if it did. */
async function change(name, state) {
  const answer = (await send(`set server ${BACKEND}/${name} state ${state}`)).trim();
  if (answer !== '') throw new Error(answer);
}

/** Returns how many clients use a server. */
async function clientsOf(name) {
  const [head = '', ...rows] = (await send(`show stat ${BACKEND} 4 -1`)).trim().split('\n');
  const column = head.split(',').indexOf('scur');
  const row = rows.map((line) => line.split(',')).find(([, server]) => server === name);
  if (row === undefined) throw new Error(`haproxy has no server ${name}`);
  return Number(row[column]);
}

async function drain(name) {
  await change(name, 'drain');
  while ((await clientsOf(name)) > 0) await sleep(POLL_MS);
}

/**
 * A new node is used when it is ready. Before, haproxy may still take the check of the former node
 * for that of the new one, and would end connections that it begins until it notices.
 */
async function follow({ kind, node }) {
  if (['ready', 'undrain'].includes(kind)) await change(node, 'ready');
}

const input = mode === 'event' ? JSON.parse(await text(process.stdin)) : undefined;
try {
  await (input === undefined ? drain(process.env.LKT_NODE) : follow(input));
} catch (error) {
  // There is no haproxy.
  if (!['ENOENT', 'ECONNREFUSED'].includes(error.code)) throw error;
}
