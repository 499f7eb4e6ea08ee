import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Poll, pauseAfter } from './poll.ts';

test('often at first, seldom later, and more seldom still after failures', () => {
  assert.equal(pauseAfter(0, 0), 1000);
  assert.equal(pauseAfter(15_000, 0), 2000);
  assert.equal(pauseAfter(135_000, 0), 5000);
  assert.deepEqual(
    [1, 2, 3, 9].map((failures) => pauseAfter(0, failures)),
    [2000, 4000, 8000, 30_000],
  );
});

function surroundings() {
  const world = { time: 0, hidden: false, timers: new Set<{ at: number; then: () => void }>(), seen: () => {} };
  return {
    world,
    here: {
      now: () => world.time,
      later: (milliseconds: number, then: () => void) => {
        const timer = { at: world.time + milliseconds, then };
        world.timers.add(timer);
        return () => void world.timers.delete(timer);
      },
      isHidden: () => world.hidden,
      onSeen: (then: () => void) => {
        world.seen = then;
        return () => {
          world.seen = () => {};
        };
      },
    },
    async pass(milliseconds: number): Promise<void> {
      world.time += milliseconds;
      for (const timer of [...world.timers].filter(({ at }) => at <= world.time)) {
        world.timers.delete(timer);
        timer.then();
      }
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('it looks until the answer is no', async () => {
  const { here, pass, world } = surroundings();
  let looks = 0;
  const poll = new Poll(async () => ++looks < 3, here);
  poll.start();
  await pass(0);
  for (let second = 0; second < 5; second += 1) await pass(1000);
  assert.equal(looks, 3);
  assert.equal(poll.isRunning, false);
  assert.equal(world.timers.size, 0);
});

test('hidden it asks nothing, and seen again it asks at once', async () => {
  const { here, pass, world } = surroundings();
  let looks = 0;
  const poll = new Poll(async () => ++looks > 0, here);
  poll.start();
  await pass(0);
  world.hidden = true;
  for (let second = 0; second < 5; second += 1) await pass(1000);
  assert.equal(looks, 1);
  world.hidden = false;
  world.seen();
  await pass(0);
  assert.equal(looks, 2);
  poll.stop();
  assert.equal(world.timers.size, 0);
});

test('failures go on, more and more seldom', async () => {
  const { here, pass } = surroundings();
  let looks = 0;
  const poll = new Poll(async () => {
    looks += 1;
    throw new Error('cut');
  }, here);
  poll.start();
  await pass(0);
  await pass(1000);
  assert.equal(looks, 1);
  await pass(1000);
  assert.equal(looks, 2);
  poll.stop();
});
