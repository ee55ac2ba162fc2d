import { expect, test } from 'vitest';
import { loadAllCommands } from '../../src/commands.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { commandTable } from '../../src/help/table.ts';

const commands = await loadAllCommands();

test.each(commandTable(commands))('lkt $name has an example', ({ name, examples }) => {
  expect(examples.filter((example) => example.includes(`lkt ${name}`))).not.toEqual([]);
});

test('names the value of every flag by what it is', () => {
  const vague = commandTable(commands).flatMap(({ name, flags }) =>
    flags
      .filter(({ value }) => /^(string|value)…?$/i.test(value ?? ''))
      .map((flag) => `${name} --${flag.name}`),
  );
  expect(vague).toEqual([]);
});

test('describes each group of commands', () => {
  const topics = commandTable(commands).flatMap(({ name }) =>
    name.includes(' ') ? [name.replace(/ .*/, '')] : [],
  );
  expect(Object.keys(packageJson.oclif.topics)).toEqual(
    [...new Set(topics)].toSorted((a, b) => (a < b ? -1 : 1)),
  );
});

test('groups the flags of every command with more than 20', () => {
  const long = Object.values(commands).filter(({ flags }) => Object.keys(flags).length > 20);
  expect(long).not.toEqual([]);
  for (const { id, flags } of long) {
    const groups = new Set(Object.values(flags).map(({ helpGroup }) => helpGroup));
    expect(groups.size, id).toBeGreaterThan(3);
  }
});
