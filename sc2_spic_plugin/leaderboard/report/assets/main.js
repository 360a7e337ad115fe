// One board per group: controls, plot, details and table that share one state.

function makeBoard(group, number) {
  const state = { rate: 'bpp', link: 1, off: new Set(), picked: null };
  const curves = [...group.curves, ...group.published];
  const details = makeDetails(group);
  const plot = makePlot(group, state, pick);
  const points = makePoints(group, state, pick);

  function pick(curve, point) {
    state.picked = point;
    details.draw(curve, point);
    draw();
  }

  function draw() {
    plot.draw();
    points.draw();
  }

  const name = curve => curve.label + (curve.kind === 'original' ? `, ${fixed(curve.points[0].accuracy, 1)} %` : '');
  const boxes = curves.map(curve => html('input', { type: 'checkbox', checked: true, onchange: event => { set([curve], event.target.checked); } }));
  const rows = curves.map((curve, index) => html('label', { title: curve.source || null }, [boxes[index], swatch(curve, true), html('span', {}, name(curve))]));


  function set(chosen, shown) {
    for (const curve of chosen) {
      const index = curves.indexOf(curve);
      boxes[index].checked = shown;
      rows[index].classList.toggle('off', !shown);
      if (shown) state.off.delete(curve); else state.off.add(curve);
    }
    draw();
  }

  const radios = Object.entries(RATES).map(([rate, { choice }]) => html('label', {}, [
    html('input', { type: 'radio', name: `rate-${number}`, value: rate, checked: rate === state.rate, onchange: () => { state.rate = rate; draw(); } }),
    choice,
  ]));

  const speed = html('output', {}, '1 Mbit/s');
  const slider = html('input', {
    type: 'range', min: -2, max: 3, step: 0.05, value: 0, 'aria-label': 'link rate',
    oninput: event => {
      state.link = 10 ** Number(event.target.value);
      speed.textContent = `${significant(state.link)} Mbit/s`;
      draw();
    },
  });
  const timed = group.curves.some(curve => curve.points.some(point => latency(point, 1) !== null));

  details.draw(null, null);
  draw();
  return html('div', {}, [
    html('div', { class: 'plot-area' }, [
      plot.element,
      html('div', { class: 'controls' }, [
        html('fieldset', {}, [html('legend', {}, 'Horizontal axis'), ...radios]),
        html('fieldset', {}, [
          html('legend', {}, ['Link: ', speed]),
          slider,
          html('span', { class: 'empty' }, timed
            ? 'Latency is measured compute and the payload over this link; no round trip, no packet headers.'
            : 'No result here has measured times, so there is no latency.'),
        ]),
        html('fieldset', { class: 'methods' }, [
          html('legend', {}, 'Methods'),
          html('div', { class: 'buttons' }, [
            html('button', { type: 'button', onclick: () => set(curves, true) }, 'all'),
            html('button', { type: 'button', onclick: () => set(curves, false) }, 'none'),
          ]),
          html('div', { class: 'list' }, rows),
        ]),
        html('p', { class: 'empty' }, 'Lines follow each curve\u2019s Pareto front. Bars: 95 % over images, or least to greatest of several seeds.'),
      ]),
    ]),
    details.element,
    points.element,
  ]);
}

const groups = JSON.parse(document.getElementById('data').textContent);
groups.forEach((group, number) => {
  document.querySelector(`[data-group="${number}"] .board`).append(makeBoard(group, number));
});
