// The plot of one group: lines along each curve's front, bars, markers, hover and choice of a point.

const [WIDTH, HEIGHT] = [900, 540];
const EDGE = { left: 58, right: 16, top: 14, bottom: 48 };
const REACH = 28;

function makePlot(group, state, pick) {
  const canvas = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': `${group.metric} over rate` });
  const tip = html('div', { class: 'tip', role: 'status', hidden: true });
  const element = html('div', { class: 'canvas' }, [canvas, tip]);
  let items = [];

  function collect() {
    const of = (curve, point) => {
      const x = RATES[state.rate].of(point, state.link, group.pixels);
      return x > 0 ? [{ curve, point, x, y: point.accuracy }] : [];
    };
    return [...group.curves, ...group.published]
      .filter(curve => !state.off.has(curve) && curve.kind !== 'original')
      .flatMap(curve => curve.points.flatMap(point => of(curve, point)));
  }

  function scales() {
    const xs = items.map(item => item.x);
    const ys = items.flatMap(item => [item.y, ...(item.point.error || [])]);
    if (levels().length) ys.push(group.original);
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [low, high] = [Math.min(...ys), Math.max(...ys)];
    const wide = Math.max(Math.log10(right / left) * 0.05, right < 2 * left ? 0.4 : 0.05);
    const tall = Math.max((high - low) * 0.05, 0.5);
    return {
      x: logScale(left / 10 ** wide, right * 10 ** wide, EDGE.left, WIDTH - EDGE.right),
      y: linearScale(low - tall, high + tall, HEIGHT - EDGE.bottom, EDGE.top),
    };
  }

  const levels = () => group.curves.filter(curve => curve.kind === 'original' && !state.off.has(curve));

  function drawGrid({ x, y }) {
    const [top, bottom, left, right] = [EDGE.top, HEIGHT - EDGE.bottom, EDGE.left, WIDTH - EDGE.right];
    const upright = kind => value => svg('line', { class: kind, x1: x(value), x2: x(value), y1: top, y2: bottom });
    const ticks = { x: x.ticks(), y: y.ticks() };
    canvas.append(
      ...ticks.x.minor.map(upright('grid minor')),
      ...ticks.x.major.map(upright('grid')),
      ...ticks.y.major.map(value => svg('line', { class: 'grid', x1: left, x2: right, y1: y(value), y2: y(value) })),
      svg('path', { class: 'frame', d: `M${left},${top}V${bottom}H${right}` }),
      ...ticks.x.major.map(value => svg('text', { class: 'tick', x: x(value), y: bottom + 17, 'text-anchor': 'middle' },
        value.toLocaleString('en-GB', { maximumFractionDigits: 8 }))),
      ...ticks.y.major.map(value => svg('text', { class: 'tick', x: left - 8, y: y(value) + 4, 'text-anchor': 'end' }, String(value))),
      svg('text', { x: (left + right) / 2, y: HEIGHT - 8, 'text-anchor': 'middle' }, title()),
      svg('text', { transform: `translate(14 ${(top + bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, `${group.metric}, %`),
    );
  }

  function title() {
    return RATES[state.rate].title + (state.rate === 'latency' ? ` (link of ${significant(state.link)} Mbit/s)` : '');
  }

  function drawCurves({ x, y }) {
    for (const level of levels()) {
      const at = y(level.points[0].accuracy);
      canvas.append(svg('line', { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: at, y2: at, stroke: '#000', 'stroke-width': 1.3, 'stroke-dasharray': '6 3' }));
    }
    for (const curve of new Set(items.map(item => item.curve))) {
      const mine = items.filter(item => item.curve === curve);
      const joined = mine.filter(item => curve.source || item.point.joined).sort((a, b) => a.y - b.y);
      if (curve.kind !== 'sent' && joined.length > 1) {
        canvas.append(svg('path', { d: `M${joined.map(item => `${x(item.x)},${y(item.y)}`).join('L')}`, ...lineLook(curve) }));
      }
      for (const item of mine) canvas.append(...bars(item, x, y));
    }
    for (const item of items) canvas.append(drawPoint(item, x, y));
  }

  function bars(item, x, y) {
    const look = { stroke: item.curve.colour, 'stroke-width': 1.2, opacity: 0.55 };
    const { error, rates } = item.point;
    const drawn = [];
    if (error) drawn.push(svg('line', { x1: x(item.x), x2: x(item.x), y1: y(error[0]), y2: y(error[1]), ...look }));
    if (rates && state.rate === 'bpp' && rates[0] > 0) {
      drawn.push(svg('line', { x1: x(rates[0]), x2: x(rates[1]), y1: y(item.y), y2: y(item.y), ...look }));
    }
    return drawn;
  }

  function drawPoint(item, x, y) {
    const own = !item.curve.source;
    const beside = own && item.curve.kind === 'curve' && !item.point.joined;
    item.at = [x(item.x), y(item.y)];
    item.node = svg('g', {
      class: item.point === state.picked ? 'point picked' : 'point',
      transform: `translate(${item.at[0].toFixed(2)} ${item.at[1].toFixed(2)})`,
      opacity: beside ? 0.45 : null,
      tabindex: 0,
      role: own ? 'button' : 'img',
      'aria-label': `${item.curve.label}, ${item.point.unit || 'published'}: ${fixed(item.y, 2)} % at ${significant(item.x)}`,
      onfocus: () => show(item),
      onblur: hide,
      onkeydown: event => {
        if (own && (event.key === 'Enter' || event.key === ' ')) { event.preventDefault(); pick(item.curve, item.point); }
      },
    }, [svg('circle', { class: 'halo', r: 10 }), marker(item.curve, item.curve.kind === 'sent' ? 5 : 4.5)]);
    return item.node;
  }

  function show(item) {
    const { point, curve } = item;
    const lines = [html('b', {}, curve.label)];
    const spread = point.error ? ` (${fixed(point.error[0], 2)} to ${fixed(point.error[1], 2)}${point.measured && point.measured.length > 1 ? `, ${point.measured.length} seeds` : ''})` : '';
    lines.push(`${point.unit ? `${point.unit}: ` : ''}${fixed(point.accuracy, 2)} %${spread}`);
    lines.push(`${significant(point.bpp)} bpp${point.payload_bytes ? `, ${significant(point.payload_bytes)} bytes` : ''}`);
    const time = latency(point, state.link);
    if (time !== null) lines.push(`${significant(time)} ms at ${significant(state.link)} Mbit/s`);
    if (curve.source) lines.push(curve.source);
    tip.replaceChildren(lines[0], ...lines.slice(1).flatMap((line, index) => (index ? [html('br'), line] : [line])));
    tip.hidden = false;
    const scale = canvas.clientWidth / WIDTH;
    const [left, top] = item.at.map(value => value * scale);
    const beyond = left + 16 + tip.offsetWidth > canvas.clientWidth;
    tip.style.left = `${beyond ? left - 14 - tip.offsetWidth : left + 14}px`;
    tip.style.top = `${Math.max(0, top - tip.offsetHeight - 6)}px`;
    for (const other of items) other.node.classList.toggle('near', other === item);
  }

  function hide() {
    tip.hidden = true;
    for (const item of items) item.node.classList.remove('near');
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    const scale = WIDTH / box.width;
    const [left, top] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const far = item => Math.hypot(item.at[0] - left, item.at[1] - top);
    const best = items.reduce((a, b) => (a === null || far(b) < far(a) ? b : a), null);
    return best !== null && far(best) <= REACH ? best : null;
  }

  canvas.addEventListener('pointermove', event => {
    const item = nearest(event);
    if (item) show(item); else hide();
  });
  canvas.addEventListener('pointerleave', hide);
  canvas.addEventListener('click', event => {
    const item = nearest(event);
    if (item && !item.curve.source) pick(item.curve, item.point);
  });

  function draw() {
    hide();
    items = collect();
    canvas.replaceChildren();
    if (!items.length) {
      const what = RATES[state.rate].lacks || 'nothing is shown';
      canvas.append(svg('text', { x: WIDTH / 2, y: HEIGHT / 2, 'text-anchor': 'middle' }, what));
      return;
    }
    const both = scales();
    drawGrid(both);
    drawCurves(both);
  }

  return { element, draw };
}
