// A worker whose script did not arrive is started again; one that has failed in another way is not.
import assert from 'node:assert/strict';
import test from 'node:test';
import { importSource } from './source.mjs';

const { PatientWorker } = await importSource('web/engine/patientWorker.ts');

/** Workers that do what a test says, and what happened to them. */
function watched(isSign) {
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
    isSign,
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

test('one that says it is at work and then stands still is started again, and sent all again; an answer ends the watch', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { made, answers, failures, patient } = watched((message) => message === 'at work');
  patient.post('a');
  context.mock.timers.tick(4000);
  made[0].onmessage({ data: 'at work' });
  context.mock.timers.tick(4999);
  assert.equal(made.length, 1);
  context.mock.timers.tick(1);
  assert.deepEqual([made.length, made[0].isOver, made[1].sent], [2, true, ['a']]);
  context.mock.timers.tick(9999);
  made[1].onmessage({ data: 'answer' });
  context.mock.timers.tick(60_000);
  assert.deepEqual([answers, failures, made.length], [['answer'], [], 2]);

  // For ever it is not begun anew: on a slow network that would be the fault itself.
  const still = watched(() => false);
  still.patient.post('a');
  for (let i = 0; i < 10; ++i) context.mock.timers.tick(20_000);
  assert.deepEqual([still.made.length, still.failures], [4, []]);
});
