// The markers of the printed plots, as paths around the origin.

const path = points => `M${points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join('L')}Z`;

function ring(corners, size, turn, inner) {
  const points = [];
  const count = inner ? 2 * corners : corners;
  for (let index = 0; index < count; index += 1) {
    const angle = turn - Math.PI / 2 + 2 * Math.PI * index / count;
    const radius = inner && index % 2 ? inner * size : size;
    points.push([radius * Math.cos(angle), radius * Math.sin(angle)]);
  }
  return path(points);
}

function cross(size, turn) {
  const [a, b] = [size / 3, size];
  const corners = [[-a, -b], [a, -b], [a, -a], [b, -a], [b, a], [a, a], [a, b], [-a, b], [-a, a], [-b, a], [-b, -a], [-a, -a]];
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  return path(corners.map(([x, y]) => [x * c - y * s, x * s + y * c]));
}

function strokes(size, angles) {
  return angles.map(turn => `M0,0L${(size * Math.sin(turn)).toFixed(2)},${(-size * Math.cos(turn)).toFixed(2)}`).join('');
}

const QUARTER = Math.PI / 2;
const THIRD = 2 * Math.PI / 3;
const SHAPES = {
  o: r => `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`,
  s: r => ring(4, r * 1.3, Math.PI / 4),
  D: r => ring(4, r * 1.35, 0),
  d: r => path([[0, -1.4 * r], [0.8 * r, 0], [0, 1.4 * r], [-0.8 * r, 0]]),
  '^': r => ring(3, r * 1.3, 0),
  v: r => ring(3, r * 1.3, Math.PI),
  '>': r => ring(3, r * 1.3, QUARTER),
  '<': r => ring(3, r * 1.3, -QUARTER),
  p: r => ring(5, r * 1.2, 0),
  h: r => ring(6, r * 1.15, 0),
  H: r => ring(6, r * 1.15, Math.PI / 6),
  8: r => ring(8, r * 1.15, Math.PI / 8),
  '*': r => ring(5, r * 2, 0, 0.42),
  P: r => cross(r * 1.2, 0),
  X: r => cross(r * 1.2, Math.PI / 4),
  '+': r => strokes(r * 1.3, [0, QUARTER, 2 * QUARTER, 3 * QUARTER]),
  x: r => strokes(r * 1.4, [1, 3, 5, 7].map(odd => odd * Math.PI / 4)),
  1: r => strokes(r * 1.4, [Math.PI, Math.PI + THIRD, Math.PI - THIRD]),
  2: r => strokes(r * 1.4, [0, THIRD, -THIRD]),
  3: r => strokes(r * 1.4, [-QUARTER, -QUARTER + THIRD, -QUARTER - THIRD]),
  4: r => strokes(r * 1.4, [QUARTER, QUARTER + THIRD, QUARTER - THIRD]),
};
const OPEN = new Set(['+', 'x', '1', '2', '3', '4']);
const DASHES = [null, '7 4', '2 3', '9 3 2 3'];
const PUBLISHED_DASH = '10 6';

function marker(curve, size) {
  const shape = SHAPES[curve.marker] || SHAPES.o;
  const hollow = OPEN.has(curve.marker) ? 'none' : curve.hollow || curve.source ? '#fff' : curve.colour;
  const width = OPEN.has(curve.marker) ? 2 : 1.4;
  return svg('path', { d: shape(size), fill: hollow, stroke: curve.colour, 'stroke-width': width });
}

function lineLook(curve) {
  const thin = curve.source || curve.faint;
  return {
    stroke: curve.colour,
    'stroke-width': thin ? 1.1 : 2,
    'stroke-dasharray': curve.source ? PUBLISHED_DASH : DASHES[curve.dash],
    fill: 'none',
  };
}

// The curve's line and marker as a small picture for legend and table.
function swatch(curve, withLine) {
  const width = withLine ? 44 : 16;
  const children = [];
  if (curve.kind === 'original') {
    children.push(svg('line', { x1: 0, x2: width, y1: 8, y2: 8, stroke: '#000', 'stroke-width': 1.4, 'stroke-dasharray': '6 3' }));
  } else {
    if (withLine && curve.kind !== 'sent') children.push(svg('line', { x1: 0, x2: width, y1: 8, y2: 8, ...lineLook(curve) }));
    children.push(svg('g', { transform: `translate(${width / 2} 8)` }, marker(curve, curve.kind === 'sent' ? 4 : 5)));
  }
  return svg('svg', { viewBox: `0 0 ${width} 16`, 'aria-hidden': 'true' }, children);
}
