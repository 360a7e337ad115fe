// The sortable table of points: one row per measurement, seeds apart.

const COLUMNS = [
  { heading: 'Method', text: row => row.curve.label },
  { heading: 'Split', text: row => row.curve.cut || DASH },
  { heading: 'Point', text: row => row.point.unit + (row.point.front ? ' *' : '') },
  { heading: 'Seed', of: row => row.measured.seed, print: value => String(value) },
  { heading: null, of: row => row.measured.accuracy, print: value => fixed(value, 2) },
  { heading: '95 % interval', text: row => (row.measured.interval ? row.measured.interval.map(end => fixed(end, 1)).join(' to ') : DASH) },
  { heading: 'Top-5 %', of: row => row.measured.top5, print: value => fixed(value, 2), optional: true },
  { heading: 'bpp', of: row => row.measured.bpp, print: significant },
  { heading: 'Payload B', of: row => row.measured.payload_bytes, print: value => fixed(value, 1) },
  { heading: 'Code B', of: row => row.measured.code_bytes, print: value => fixed(value, 1) },
  { heading: 'Harness KB', of: row => row.measured.harness_kilobytes, print: value => fixed(value, 3), optional: true },
  { heading: 'Encoder KB', of: row => row.measured.encoder_kilobytes, print: value => fixed(value, 0), optional: true },
  { heading: 'Encoder MMACs', of: row => (row.measured.encoder_macs === null ? null : row.measured.encoder_macs / 1e6), print: value => fixed(value, 0), optional: true },
  { heading: 'Encode ms', of: row => row.measured.encode_ms, print: value => fixed(value, 1), optional: true },
  { heading: 'Decode ms', of: row => row.measured.decode_ms, print: value => fixed(value, 1), optional: true },
  { heading: 'Latency ms', of: (row, link) => latency(row.measured, link), print: value => fixed(value, 1), optional: true },
];

function makePoints(group, state, pick) {
  const rows = group.curves.flatMap(curve => curve.points.flatMap(
    point => point.measured.map(measured => ({ curve, point, measured }))));
  const columns = COLUMNS
    .map(column => (column.heading ? column : { ...column, heading: `${group.metric} %` }))
    .filter(column => !column.optional || rows.some(row => column.of(row, state.link) !== null));
  const sorting = { column: null, descending: false };
  const heads = columns.map(column => html('th', { class: column.of ? 'number' : 'text', 'aria-sort': 'none' },
    html('button', { type: 'button', onclick: () => sort(column) }, column.heading)));
  const body = html('tbody');
  const search = html('input', { type: 'search', placeholder: 'filter by method, split or point', 'aria-label': 'filter rows', oninput: draw });
  const count = html('span', { class: 'empty' });
  const element = html('div', {}, [
    html('h3', {}, 'Points'),
    html('div', { class: 'tools' }, [search, count]),
    html('div', { class: 'tall' }, html('table', { class: 'points' }, [html('thead', {}, html('tr', {}, heads)), body])),
  ]);

  function sort(column) {
    sorting.descending = sorting.column === column && !sorting.descending;
    sorting.column = column;
    draw();
  }

  // What was not measured comes last, whichever way is up.
  function compare(a, b) {
    const { column } = sorting;
    const [x, y] = [a, b].map(row => (column.of ? column.of(row, state.link) : column.text(row)));
    if (x === null || y === null) return (x === null) - (y === null);
    const order = column.of ? x - y : x.localeCompare(y, 'en', { numeric: true });
    return sorting.descending ? -order : order;
  }

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const says = row => columns.filter(column => column.text).map(column => column.text(row)).join(' ').toLowerCase();
    const shown = rows.filter(row => !state.off.has(row.curve) && says(row).includes(wanted));
    if (sorting.column) shown.sort(compare);
    heads.forEach((head, index) => head.setAttribute('aria-sort',
      columns[index] !== sorting.column ? 'none' : sorting.descending ? 'descending' : 'ascending'));
    body.replaceChildren(...shown.map(row => html('tr', {
      class: row.point === state.picked ? 'picked' : null,
      onclick: () => pick(row.curve, row.point),
    }, columns.map((column, index) => cell(row, column, index)))));
    count.textContent = `${shown.length} of ${rows.length} measurements; * on the Pareto front of the section`;
  }

  function cell(row, column, index) {
    if (!column.of) return html('td', {}, [index === 0 ? swatch(row.curve, false) : null, column.text(row)]);
    const value = column.of(row, state.link);
    return html('td', { class: 'number' }, value === null ? DASH : column.print(value));
  }

  return { element, draw };
}
