// The little arithmetic that is done in the page, because it depends on what the reader picks.

function confusionOf(cell, fold) {
  const samples = samplesOf(cell), said = saidBy(cell), size = classesOf(cell).length;
  const matrix = Array.from({ length: size }, () => Array(size + 1).fill(0));
  samples.labels.forEach((label, at) => {
    if (fold === "" || samples.folds[at] === fold) matrix[label][said[at] < 0 ? size : said[at]]++;
  });
  return matrix;
}

// Wilson's 95 % interval of a share, in percent.
function wilson(right, all) {
  const z = 1.959963984540054, share = right / all, square = (z * z) / all;
  const middle = (share + square / 2) / (1 + square);
  const half = (z / (1 + square)) * Math.sqrt((share * (1 - share)) / all + square / (4 * all));
  return [Math.max(0, 100 * (middle - half)), Math.min(100, 100 * (middle + half))];
}

// McNemar's exact test, two-sided: how likely a fair coin splits b + c throws at least as unevenly.
function mcnemar(b, c) {
  const all = b + c;
  let log = -all * Math.LN2, sum = 0;
  for (let k = 0; k <= Math.min(b, c); k++) {
    sum += Math.exp(log);
    log += Math.log((all - k) / (k + 1));
  }
  return Math.min(1, 2 * sum);
}

const pValue = (p) => (p < 0.0001 ? "p < 0.0001" : `p = ${p.toFixed(4)}`);
