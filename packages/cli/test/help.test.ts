import { expect, test } from 'vitest';
import { loadAllCommands } from '../src/commands.ts';
import { commandTable } from '../src/help/table.ts';

const commands = await loadAllCommands();

test.each(commandTable(commands))('lkt $name has an example', ({ name, examples }) => {
  expect(examples.filter((example) => example.includes(`lkt ${name}`))).not.toEqual([]);
});

test('groups the flags of every command with more than 20', () => {
  const long = Object.values(commands).filter(({ flags }) => Object.keys(flags).length > 20);
  expect(long).not.toEqual([]);
  for (const { id, flags } of long) {
    const groups = new Set(Object.values(flags).map(({ helpGroup }) => helpGroup));
    expect(groups.size, id).toBeGreaterThan(3);
  }
});
