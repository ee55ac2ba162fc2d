import { digestOf } from '@lkt/core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideEngine, type EngineDecision } from '../../src/engine/decide.ts';
import type {
  EngineGroup,
  EngineNode,
  EngineRequest,
  EngineSpec,
} from '../../src/engine/engine.ts';

const specs = ['a', 'b', 'c'].map((name): EngineSpec => ({
  spec: name.repeat(16),
  image: digestOf(name),
  template: '0'.repeat(16),
}));
const [one, two] = specs as [EngineSpec, EngineSpec];
const limits = { isOpen: true, isPaused: false, isRetry: false };

function request(spec: EngineSpec, size = 2): EngineRequest {
  return {
    ...spec,
    fleet: 'shop',
    group: 'web',
    size,
    surge: 1,
    unavailable: 0,
    minReadyMs: 0,
    startupTimeoutMs: 600_000,
    rollback: 'off' as const,
    machine: { cpus: 1, memory: 512, publish: [], volumes: [] },
    metadata: undefined,
    settings: {},
  };
}

function node(id: string, runs: EngineSpec | undefined): EngineNode {
  return {
    id,
    name: id,
    runs,
    power: 'running',
    health: 'healthy',
    created: 0,
    addresses: [],
  };
}

function group(runs: EngineSpec, change: Partial<EngineGroup> = {}): EngineGroup {
  return {
    fleet: 'shop',
    group: 'web',
    generation: 1,
    stated: 's',
    size: 2,
    runs,
    roll: undefined,
    nodes: [node('i', runs), node('j', runs)],
    ...change,
  };
}

test.for<[string, EngineGroup | undefined, EngineDecision['action']]>([
  ['a missing group is stated', undefined, 'state'],
  ['a group as wanted is left alone', group(two), undefined],
  ['a size that a person changed is stated again', group(two, { size: 5 }), 'state'],
  ['other limits are stated', group(two, { stated: 'other' }), 'state'],
  ['another spec is rolled', group(one), 'roll'],
  ['a node of another spec is rolled', group(two, { nodes: [node('i', one)] }), 'roll'],
  [
    'a node that lkt does not know is rolled',
    group(two, { nodes: [node('i', undefined)] }),
    'roll',
  ],
  [
    'a roll that a person stopped is begun again',
    group(one, { roll: { spec: two.spec, state: 'stopped' } }),
    'roll',
  ],
  [
    'its own roll is awaited',
    group(one, { roll: { spec: two.spec, state: 'running' } }),
    undefined,
  ],
  [
    'a roll to another spec is stopped',
    group(one, { roll: { spec: one.spec, state: 'running' } }),
    'stop',
  ],
  [
    'limits wait for the end of a roll',
    group(one, { stated: 'other', roll: { spec: two.spec, state: 'running' } }),
    undefined,
  ],
  [
    'a failed roll is not begun again',
    group(one, { roll: { spec: two.spec, state: 'failed' } }),
    undefined,
  ],
  [
    'a roll of another image follows a failed one',
    group(one, { roll: { spec: specs[2]?.spec, state: 'failed' } }),
    'roll',
  ],
])('%s', ([, current, action]) => {
  expect(decideEngine(request(two), 's', current, limits).action).toBe(action);
});

test('rolls a group of old nodes, where the engine does not keep ages', () => {
  const aged = group(two, { nodes: [node('i', two), { ...node('j', two), created: 10 }] });
  const decide = (change: object): EngineDecision['action'] =>
    decideEngine(request(two), 's', aged, { ...limits, ...change }).action;
  expect(decide({})).toBeUndefined();
  expect(decide({ expiredBefore: -1 })).toBeUndefined();
  expect(decide({ expiredBefore: 0 })).toBe('roll');
  expect(decide({ expiredBefore: 0, isOpen: false })).toBeUndefined();
  const leaving = aged.nodes.map((each) => ({ ...each, power: 'terminating' as const }));
  const ended = group(two, { nodes: leaving });
  expect(
    decideEngine(request(two), 's', ended, { ...limits, expiredBefore: 0 }).action,
  ).toBeUndefined();
});

test('renews old nodes of a group that was rolled back, within its limits', () => {
  const back = group(one, { roll: { spec: two.spec, state: 'rolledBack' } });
  const decide = (change: object, current: EngineGroup = back): EngineDecision =>
    decideEngine(request(two), 's', current, {
      ...limits,
      expiredBefore: 0,
      ...change,
    });
  // It is halted still: the file wants another spec.
  expect(decide({})).toMatchObject({ action: 'renew', isHalted: true, isRolledBack: true });
  for (const change of [{ expiredBefore: -1 }, { isPaused: true }, { isOpen: false }])
    expect(decide(change).action).toBeUndefined();
  expect(decide({ isRetry: true }).action).toBe('roll');
  const failed = group(two, { roll: { spec: two.spec, state: 'failed' }, nodes: [node('i', one)] });
  expect(decide({}, failed)).toMatchObject({
    action: undefined,
    holds: ["the engine's roll failed", 'nodes are older than expire.after'],
  });
});

test('ends a halt for the age of a node, by the earlier spec', () => {
  const halted = group(two, {
    roll: { spec: two.spec, state: 'failed' },
    earlier: one,
    nodes: [{ ...node('i', one), created: 10 }],
  });
  const decide = (change: object): EngineDecision =>
    decideEngine(request(two), 's', halted, { ...limits, ...change });
  expect(decide({ expiredBefore: 10 }).action).toBe('rollBack');
  for (const change of [{ expiredBefore: 9 }, { isPaused: true }, { isOpen: false }])
    expect(decide({ expiredBefore: 10, ...change })).toMatchObject({
      action: undefined,
      isHalted: true,
    });
});

test('halts after a failed roll with the reason, until a retry', () => {
  const failed = group(one, { roll: { spec: two.spec, state: 'failed', message: 'no capacity' } });
  expect(decideEngine(request(two), 's', failed, limits)).toEqual({
    action: undefined,
    isHalted: true,
    isRolledBack: false,
    holds: ["the engine's roll failed: no capacity"],
  });
  expect(decideEngine(request(two), 's', failed, { ...limits, isRetry: true }).action).toBe('roll');
  const back = group(one, { roll: { spec: two.spec, state: 'rolledBack' } });
  expect(decideEngine(request(two), 's', back, limits)).toMatchObject({ isRolledBack: true });
});

test('rolls a failed roll back once, if the file says so and there is an earlier spec', () => {
  const auto = { ...request(two), rollback: 'auto' as const };
  const failed = { roll: { spec: two.spec, state: 'failed' as const } };
  const decide = (asked: EngineRequest, current: EngineGroup, change: object = {}) =>
    decideEngine(asked, 's', current, { ...limits, ...change });
  const known = group(two, { ...failed, earlier: one, nodes: [node('i', one)] });
  expect(decide(auto, known).action).toBe('rollBack');
  expect(decide(auto, known, { isPaused: true, isOpen: false }).action).toBe('rollBack');
  expect(decide(auto, known, { isRetry: true }).action).toBe('roll');
  expect(decide(request(two), known)).toMatchObject({ action: undefined, isHalted: true });
  const unknown = group(two, { ...failed, nodes: [node('i', one)] });
  expect(decide(auto, unknown)).toMatchObject({ action: undefined, isHalted: true });
  const back = group(one, { roll: { spec: two.spec, state: 'rollingBack' } });
  for (const isPaused of [false, true])
    expect(decide(auto, back, { isPaused })).toMatchObject({
      action: undefined,
      isHalted: false,
      isRolledBack: true,
    });
  expect(decideEngine(request(specs[2] ?? two), 's', back, limits).action).toBe('stop');
});

test('begins no roll while paused or outside of windows, and stops one of a paused group', () => {
  const closed = { ...limits, isOpen: false };
  const paused = { ...limits, isPaused: true };
  expect(decideEngine(request(two), 's', group(one), closed)).toMatchObject({ action: undefined });
  expect(decideEngine(request(two), 's', group(one), paused)).toMatchObject({ action: undefined });
  const rolling = group(one, { roll: { spec: two.spec, state: 'running' } });
  expect(decideEngine(request(two), 's', rolling, paused).action).toBe('stop');
  // An interrupted roll is worse than a late one.
  expect(decideEngine(request(two), 's', rolling, closed).action).toBeUndefined();
  // The size is no replacement.
  expect(decideEngine(request(two, 3), 's', group(one), closed).action).toBe('state');
});

test('converges from every state of an engine whose rolls succeed, and then does nothing', () => {
  const spec = fc.constantFrom(...specs);
  const state = fc.constantFrom(
    ...(['running', 'done', 'failed', 'stopped', 'rollingBack', 'rolledBack'] as const),
  );
  const roll = fc.option(fc.record({ spec: spec.map((given) => given.spec), state }), {
    nil: undefined,
  });
  const current = fc.option(
    fc.record({
      runs: spec,
      roll,
      size: fc.integer({ min: 0, max: 4 }),
      stated: fc.constantFrom('s', 'x'),
      nodes: fc.array(spec, { maxLength: 4 }),
    }),
    { nil: undefined },
  );
  fc.assert(
    fc.property(spec, current, (wanted, start) => {
      const asked = request(wanted);
      let now: EngineGroup | undefined =
        start &&
        group(start.runs, {
          ...start,
          nodes: start.nodes.map((runs, index) => node(`n${index}`, runs)),
        });
      for (let pass = 0; pass < 8; pass += 1) {
        const { action } = decideEngine(asked, 's', now, { ...limits, isRetry: true });
        if (action === 'state') now = { ...(now ?? group(wanted)), size: asked.size, stated: 's' };
        else if (now === undefined) throw new Error('no group');
        else if (action === 'stop') now = { ...now, roll: { spec: 'x', state: 'stopped' } };
        else if (action === 'roll') now = { ...now, roll: { spec: asked.spec, state: 'running' } };
        else if (now.roll?.state === 'rollingBack')
          now = { ...now, roll: { ...now.roll, state: 'rolledBack' } };
        else if (now.roll?.state === 'running')
          now = {
            ...now,
            runs: wanted,
            roll: { spec: asked.spec, state: 'done' },
            nodes: [node('x', wanted), node('y', wanted)],
          };
      }
      expect(now?.runs?.spec).toBe(wanted.spec);
      expect(now?.nodes.every(({ runs }) => runs?.spec === wanted.spec)).toBe(true);
      expect(decideEngine(asked, 's', now, limits)).toMatchObject({ action: undefined, holds: [] });
    }),
  );
});
