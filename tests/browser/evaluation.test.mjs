// The sums behind the page's evaluation, without a browser.
import assert from 'node:assert/strict';
import test from 'node:test';
import { importSource } from './source.mjs';

const { wilson } = await importSource('web/app/evaluation/interval.ts');
const { answersOf, argmax, mistakesOf, scoresOf } = await importSource('web/app/evaluation/answers.ts');
const { fitTemperature, reliabilityOf, tempered } = await importSource('web/app/evaluation/calibration.ts');
const { fitThreshold } = await importSource('web/app/evaluation/threshold.ts');
const { randomNumbers, stratifiedFolds } = await importSource('web/app/evaluation/folds.ts');
const { LossWatch } = await importSource('web/app/evaluation/divergence.ts');

const near = (actual, expected, tolerance, where = '') =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${where} ${actual}, expected ${expected}`);

test("Wilson's interval ends where the score test of 95 % ends", () => {
  const z = 1.959963984540054;
  for (const [right, total] of [
    [1, 3],
    [8, 10],
    [34, 40],
    [500, 1000],
  ]) {
    const { low, high } = wilson(right, total);
    assert.ok(low < right / total && right / total < high);
    for (const p of [low, high])
      near(Math.abs(right / total - p) / Math.sqrt((p * (1 - p)) / total), z, 1e-9, `${right}/${total}`);
  }
  // As printed by R's binom.confint(8, 10, methods = 'wilson').
  near(wilson(8, 10).low, 0.4901625, 1e-6);
  near(wilson(8, 10).high, 0.9433178, 1e-6);
});

test("Wilson's interval holds at the edges: none right, all right, none asked", () => {
  assert.equal(wilson(0, 10).low, 0);
  near(wilson(0, 10).high, 0.2775, 1e-4);
  assert.equal(wilson(10, 10).high, 1);
  near(wilson(10, 10).low, 0.7225, 1e-4);
  assert.deepEqual(wilson(0, 0), { low: 0, high: 1 });
});

const answer = (label, ...probabilities) => ({ id: 0, label, probabilities });

test('counts of right and wrong answers: confusion, precision, recall, loss', () => {
  const answers = answersOf(
    [
      { id: 7, label: 0 },
      { id: 8, label: 0 },
      { id: 9, label: 1 },
    ],
    Float32Array.of(0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0, 1, 0),
    3,
  );
  const { accuracy, confusion, precision, recall, loss, right, total } = scoresOf(answers, 3);
  assert.deepEqual([right, total], [2, 3]);
  near(accuracy, 2 / 3, 1e-12);
  assert.deepEqual(confusion, [
    [1, 1, 0],
    [0, 1, 0],
    [0, 0, 0],
  ]);
  assert.deepEqual(precision, [1, 0.5, NaN]);
  assert.deepEqual(recall, [0.5, 1, NaN]);
  near(loss, -(Math.log(0.5) + Math.log(0.25)) / 3, 1e-7);
  assert.deepEqual(
    mistakesOf(answers).map(({ answer: { id }, predicted, probability }) => [id, predicted, probability]),
    [[8, 1, 0.5]],
  );
  assert.throws(() => answersOf([{ id: 1, label: 0 }], new Float32Array(2), 3), /expected 3 probabilities, got 2/);
  // Of equal values the first, as the core's predicted_class has it.
  assert.equal(argmax([0.2, 0.4, 0.4]), 1);
});

test('the most confident mistake comes first', () => {
  const answers = [answer(0, 0.4, 0.6), answer(1, 0.9, 0.1), answer(1, 0.2, 0.8), answer(0, 0.3, 0.7)];
  assert.deepEqual(
    mistakesOf(answers).map(({ probability }) => probability),
    [0.9, 0.7, 0.6],
  );
});

/** Answers of a model whose logits are `factor` times what they should be. */
function overconfident(factor, count = 4000) {
  const random = randomNumbers(3);
  return Array.from({ length: count }, (_, id) => {
    const logits = [0, 1, 2].map(() => 4 * random() - 2);
    const softmax = (scale) => {
      const powers = logits.map((logit) => Math.exp(scale * logit));
      return powers.map((power) => power / powers.reduce((a, b) => a + b));
    };
    let left = random();
    const label = softmax(1).findIndex((p) => (left -= p) < 0);
    return { id, label: label < 0 ? 2 : label, probabilities: softmax(factor) };
  });
}

test('the fitted temperature undoes the factor on the logits, and the loss is lowest there', () => {
  for (const factor of [0.5, 1, 3]) {
    const answers = overconfident(factor);
    const temperature = fitTemperature(answers);
    near(temperature / factor, 1, 0.1, `factor ${factor}:`);
    const loss = (t) =>
      answers.reduce((sum, { label, probabilities }) => sum - Math.log(tempered(probabilities, t)[label]), 0);
    for (const beside of [0.98, 1.02]) assert.ok(loss(temperature) < loss(temperature * beside));
  }
  assert.equal(fitTemperature([]), 1);
  // All right and all sure: no temperature is the lowest; the search ends at its limit and not beyond.
  assert.ok(fitTemperature([answer(0, 1, 0), answer(1, 0, 1)]) > 0.04);
  const [a, b] = tempered([1, 0], 2);
  assert.ok(a > 0.99 && b >= 0 && Math.abs(a + b - 1) < 1e-12);
});

test('the calibration error is the distance between confidence and accuracy, and temperature shrinks it', () => {
  const answers = [answer(0, 0.95, 0.05), answer(0, 0.95, 0.05), answer(1, 0.95, 0.05), answer(1, 0.35, 0.65)];
  const { bins, error } = reliabilityOf(answers);
  assert.deepEqual(
    bins.map(({ from, count, accuracy }) => [from, count, accuracy]),
    [
      [0.6, 1, 1],
      [0.9, 3, 2 / 3],
    ],
  );
  near(error, (3 * (0.95 - 2 / 3) + (1 - 0.65)) / 4, 1e-12);
  assert.equal(reliabilityOf([answer(0, 1, 0)]).bins[0].to, 1, 'a probability of 1 has a bin');
  const many = overconfident(3);
  assert.ok(reliabilityOf(many).error > 0.15);
  assert.ok(reliabilityOf(many, fitTemperature(many)).error < 0.04);
});

test('the threshold weighs right answers against wrong ones, which count three times', () => {
  const answers = [
    answer(0, 0.9, 0.1),
    answer(0, 0.8, 0.2),
    answer(1, 0.3, 0.7),
    answer(1, 0.65, 0.35), // wrong
    answer(0, 0.6, 0.4),
  ];
  assert.deepEqual(fitThreshold(answers), { value: 0.7, answered: 0.6, accuracy: 1 });
  // Three right ones below it make good for the wrong one; then nothing is refused.
  const more = [...answers, answer(0, 0.55, 0.45), answer(0, 0.54, 0.46)];
  assert.deepEqual(fitThreshold(more), { value: 0, answered: 1, accuracy: 6 / 7 });
  // A model whose surest answer is wrong, and that makes good for it nowhere.
  const hopeless = [answer(1, 0.9, 0.1), answer(0, 0.6, 0.4)];
  assert.deepEqual(fitThreshold(hopeless), { value: 0, answered: 1, accuracy: 0.5 });
  // Equal confidences cannot be told apart.
  const equal = [answer(0, 0.9, 0.1), answer(1, 0.9, 0.1), answer(1, 0.2, 0.8)];
  assert.deepEqual(fitThreshold(equal), { value: 0, answered: 1, accuracy: 2 / 3 });
  assert.deepEqual(fitThreshold([]), { value: 0, answered: 1, accuracy: 0 });
});

test('folds hold out every image once, with every class in every fold', () => {
  const labels = [...Array(10).fill(0), ...Array(7).fill(1), ...Array(5).fill(2)];
  const folds = stratifiedFolds(labels, 5, 1);
  assert.deepEqual(
    folds.flatMap(({ val }) => val).sort((a, b) => a - b),
    labels.map((_, index) => index),
  );
  for (const { train, val } of folds) {
    assert.equal(train.length + val.length, labels.length);
    assert.equal(new Set([...train, ...val]).size, labels.length);
    assert.ok(val.length >= 4 && val.length <= 5, `${val.length} images`);
    for (const label of [0, 1, 2]) assert.ok(val.some((index) => labels[index] === label));
  }
  assert.deepEqual(stratifiedFolds(labels, 5, 1), folds);
  assert.notDeepEqual(stratifiedFolds(labels, 5, 2), folds);
  assert.throws(() => stratifiedFolds([0, 1], 3, 0), /expected 2 to 2 folds, got 3/);
});

test('a loss that explodes is seen, one that only starts badly is not', () => {
  const run = (watch, losses, stepsEach) =>
    losses.map((loss, i) => {
      for (let step = 0; step < stepsEach; ++step) assert.equal(watch.step(i + 1, loss), null);
      return watch.epoch(i + 1, loss);
    });
  // The lesson's network on few photos begins like this.
  assert.deepEqual(run(new LossWatch(3), [5, 15, 17, 15, 9, 3, 1.2], 3), Array(7).fill(null));
  assert.deepEqual(run(new LossWatch(3), [1, 0.5, 0.6, 2, 0.4], 100), Array(5).fill(null));
  const sick = new LossWatch(4);
  assert.deepEqual(run(sick, [2, 1.5, 9, 30], 40), [null, null, null, { epoch: 4, loss: 30 }]);
  assert.deepEqual(sick.step(4, 1e6), { epoch: 4, loss: 1e6 });
  assert.deepEqual(sick.step(4, NaN), { epoch: 4, loss: NaN });
});
