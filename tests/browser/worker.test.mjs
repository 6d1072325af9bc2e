// A worker whose script did not arrive is started again, one that has failed in another way is not; nor does a lost thread hold up all.
import assert from 'node:assert/strict';
import test from 'node:test';
import { importSource } from './source.mjs';

const { PatientWorker } = await importSource('web/engine/patientWorker.ts');

/** Workers that do what a test says, and what happened to them. */
function watched() {
  const made = [];
  const create = () => {
    const worker = { sent: [], isOver: false, postMessage: (one) => worker.sent.push(one) };
    worker.terminate = () => (worker.isOver = true);
    made.push(worker);
    return worker;
  };
  const [answers, failures] = [[], []];
  const patient = new PatientWorker(
    create,
    (answer) => answers.push(answer),
    (message) => failures.push(message),
  );
  return { made, answers, failures, patient };
}

test('what was sent to a worker that did not load is sent to its successor', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { made, answers, failures, patient } = watched();
  patient.post('a');
  made[0].onerror({});
  patient.post('b');
  context.mock.timers.tick(300);
  assert.deepEqual(made[1].sent, ['a', 'b']);
  assert.ok(made[0].isOver);
  made[1].onmessage({ data: 'answer' });
  assert.deepEqual([answers, failures, made.length], [['answer'], [], 2]);
});

test('it gives up after four starts, and at once on an error of the script or after an answer', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const lost = watched();
  for (let i = 0; i < 4; ++i) {
    lost.made[i].onerror({});
    context.mock.timers.tick(3000);
  }
  assert.deepEqual([lost.made.length, lost.failures], [4, [undefined]]);

  const wrong = watched();
  wrong.made[0].onerror({ message: 'x is not defined' });
  const later = watched();
  later.made[0].onmessage({ data: 1 });
  later.made[0].onerror({});
  context.mock.timers.tick(3000);
  assert.deepEqual([wrong.failures, wrong.made.length], [['x is not defined'], 1]);
  assert.deepEqual([later.failures, later.made.length], [[undefined], 1]);

  const ended = watched();
  ended.made[0].onerror({});
  ended.patient.terminate();
  context.mock.timers.tick(3000);
  assert.equal(ended.made.length, 1);
});

const { hedged } = await importSource('web/engine/hedged.ts');

/** Starts that answer when a test says so. */
function starts() {
  const begun = [];
  const attempt = () => new Promise((resolve, reject) => begun.push({ resolve, reject }));
  return { begun, attempt };
}

test('a start that says nothing gets another one beside it, and the first answer of any counts', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { begun, attempt } = starts();
  const result = hedged(attempt, [10, 20], 'too late');
  context.mock.timers.tick(9);
  assert.equal(begun.length, 1);
  context.mock.timers.tick(1);
  assert.equal(begun.length, 2);
  begun[0].resolve('the first, late');
  begun[1].resolve('the second');
  assert.equal(await result, 'the first, late');
  context.mock.timers.tick(100);
  assert.equal(begun.length, 2);
});

test('a start that fails is not tried again, and one that never answers is given up with a sentence', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const failing = starts();
  const failed = hedged(failing.attempt, [10, 20], 'too late');
  failing.begun[0].reject(new Error('no memory'));
  await assert.rejects(failed, /no memory/);
  const silent = starts();
  const given = hedged(silent.attempt, [10, 20], 'too late');
  context.mock.timers.tick(10);
  context.mock.timers.tick(20);
  await assert.rejects(given, /too late/);
  assert.equal(silent.begun.length, 2);
});
