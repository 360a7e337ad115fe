// Where a point comes from, and how its payload sizes are spread over the images.

function makeDetails(group) {
  const element = html('div', { class: 'origin', 'aria-live': 'polite' });

  function draw(curve, point) {
    if (!point) {
      element.replaceChildren(html('span', { class: 'empty' }, 'Select a point to see its provenance and the sizes of its payloads.'));
      return;
    }
    element.replaceChildren(
      html('h4', {}, `${curve.label}, ${point.unit}${point.measured.length > 1 ? `, seed ${point.measured[0].seed} of ${point.measured.length} seeds` : ''}`),
      ...point.measured.map((measured, index) => (index === 0 ? sides(measured, curve) : folded(measured, curve))),
    );
  }

  const sides = (measured, curve) => html('div', { class: 'sides' }, [facts(curve, measured), histogram(measured)]);

  function folded(measured, curve) {
    const summary = `seed ${measured.seed}: ${fixed(measured.accuracy, 2)} % at ${significant(measured.bpp)} bpp`;
    return html('details', {}, [html('summary', {}, summary), sides(measured, curve)]);
  }

  function facts(curve, measured) {
    const meta = group.metas[measured.meta];
    const listed = values => Object.entries(values || {}).map(([name, value]) => `${name} ${value}`).join(', ');
    const known = [
      ['result', measured.name + (measured.file ? ` (${measured.file})` : '')],
      ['description', measured.description],
      ['seed', measured.seed],
      ['measured', meta.date],
      ['code', meta.code_version],
      ['config', measured.config_sha256],
      ['checkpoint', measured.checkpoint_sha256],
      ['network', [meta.network, meta.network_sha256].filter(Boolean).join(', ')],
      ['cut', meta.cut && meta.cut + (meta.bypassed ? ' (bypassed: bits past the cut are not counted)' : '')],
      ['images', meta.samples],
      ['protocol', [meta.protocol, meta.protocol_sha256].filter(Boolean).join(', ')],
      ['bits', meta.bits],
      ['further values', listed(measured.extra)],
      ['versions', listed(meta.versions)],
      ['environment', listed(meta.environment)],
    ].filter(([, value]) => value !== null && value !== undefined && value !== '');
    return html('dl', {}, known.flatMap(([name, value]) => [html('dt', {}, name), html('dd', {}, String(value))]));
  }

  function histogram(measured) {
    const shown = measured.histogram;
    if (!shown) return html('p', { class: 'empty' }, 'No per-image table lies beside the result file.');
    const [width, height, left, bottom] = [420, 190, 34, 34];
    const peak = Math.max(...shown.counts);
    const step = (width - left - 8) / shown.counts.length;
    const y = linearScale(0, peak, height - bottom, 22);
    const end = shown.low + shown.width * shown.counts.length;
    const at = value => left + (value - shown.low) / shown.width * step;
    const ticks = linearScale(shown.low, end, 0, 1).ticks().major.filter(value => Number.isInteger(value) && value <= end);
    const range = index => (shown.width === 1 ? `${shown.low + index}` : `${shown.low + index * shown.width} to ${shown.low + (index + 1) * shown.width - 1}`);
    return svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', class: 'histogram', 'aria-label': `payload sizes of ${shown.images} images` }, [
      svg('text', { x: left, y: 13 }, `payload bytes of ${fixed(shown.images, 0)} images: ${shown.low} to ${shown.high}, median ${fixed(shown.median, 1)}`),
      ...shown.counts.map((count, index) => svg('rect', {
        class: 'bar', x: left + index * step + 0.5, width: Math.max(1, step - 1), y: y(count), height: height - bottom - y(count),
      }, svg('title', {}, `${range(index)} bytes: ${count} images`))),
      svg('path', { class: 'frame', d: `M${left},22V${height - bottom}H${width - 8}` }),
      svg('text', { class: 'tick', x: left - 5, y: 28, 'text-anchor': 'end' }, String(peak)),
      ...ticks.map(value => svg('text', { class: 'tick', x: at(value) + (shown.width === 1 ? step / 2 : 0), y: height - bottom + 15, 'text-anchor': 'middle' }, String(value))),
    ]);
  }

  return { element, draw };
}
