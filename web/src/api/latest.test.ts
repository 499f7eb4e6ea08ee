import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Latest } from './latest.ts';

interface Asked {
  readonly question: string;
  readonly answer: (words: string) => void;
  readonly fail: (error: Error) => void;
}

function questions() {
  const asked: Asked[] = [];
  const told: string[] = [];
  const latest = new Latest<string, string>({
    ask: (question) =>
      new Promise((answer, fail) => {
        asked.push({ question, answer, fail });
      }),
    tell: (answer, question) => told.push(`${question}: ${answer}`),
    fail: (error, question) => told.push(`${question} failed: ${(error as Error).message}`),
  });
  return { asked, told, latest };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('never two at a time, and only the latest waits', async () => {
  const { asked, told, latest } = questions();
  for (const question of ['a', 'b', 'c']) latest.ask(question);
  assert.deepEqual(
    asked.map(({ question }) => question),
    ['a'],
  );
  asked[0]?.answer('1');
  await settled();
  assert.deepEqual(
    asked.map(({ question }) => question),
    ['a', 'c'],
  );
  assert.deepEqual(told, [], 'an answer that is out of date is not shown');
  asked[1]?.answer('2');
  await settled();
  assert.deepEqual(told, ['c: 2']);
  assert.equal(latest.busy, false);
});

test('a failure is told and ends nothing', async () => {
  const { asked, told, latest } = questions();
  latest.ask('a');
  asked[0]?.fail(new Error('cut'));
  await settled();
  latest.ask('b');
  asked[1]?.answer('1');
  await settled();
  assert.deepEqual(told, ['a failed: cut', 'b: 1']);
});

test('after stop nobody is told of what was under way', async () => {
  const { asked, told, latest } = questions();
  latest.ask('a');
  latest.ask('b');
  latest.stop();
  asked[0]?.answer('1');
  await settled();
  assert.deepEqual(told, []);
  assert.equal(asked.length, 1);
});
