// Scales and their ticks.

function logScale(low, high, from, to) {
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const scale = value => from + (to - from) * (Math.log10(value) - a) / (b - a);
  scale.ticks = () => {
    const decades = b - a;
    const steps = decades > 4.5 ? [1] : decades > 1.8 ? [1, 3] : decades > 0.8 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const major = [], minor = [];
    for (let power = Math.floor(a); power <= Math.ceil(b); power += 1) {
      for (let step = 1; step < 10; step += 1) {
        const value = Number(`${step}e${power}`);
        if (value < low || value > high) continue;
        (steps.includes(step) ? major : minor).push(value);
      }
    }
    return { major, minor };
  };
  return scale;
}

function linearScale(low, high, from, to) {
  const scale = value => from + (to - from) * (value - low) / (high - low);
  scale.ticks = () => {
    const rough = (high - low) / 11;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(factor => factor * power).find(candidate => candidate >= rough);
    const major = [];
    for (let index = Math.ceil(low / step); index * step <= high + 1e-9; index += 1) {
      major.push(Number((index * step).toPrecision(12)));
    }
    return { major, minor: [] };
  };
  return scale;
}

// What the horizontal axis can show; `of` returns null where a point lacks it, `lacks` says so where all do.
const RATES = {
  bpp: { choice: 'bits per pixel', title: 'bits per image pixel (payload)', of: point => point.bpp },
  kilobytes: {
    choice: 'kilobytes per image',
    title: 'payload per image, kilobytes of 1,024 bytes',
    of: (point, link, pixels) => {
      if (point.payload_bytes !== undefined) return point.payload_bytes === null ? null : point.payload_bytes / 1024;
      return pixels === null ? null : point.bpp * pixels / 8 / 1024;
    },
  },
  sizes: {
    choice: 'encoder size \u00d7 payload',
    title: 'size of the encoder \u00d7 payload per image, KB \u00d7 KB (ExR of SC2; codecs have no network to ship)',
    lacks: 'no shown method has an encoder of known size',
    of: point => (point.encoder_kilobytes && point.payload_bytes ? point.encoder_kilobytes * point.payload_bytes / 1024 : null),
  },
  latency: {
    choice: 'end-to-end latency',
    title: 'end-to-end latency, ms',
    lacks: 'no shown method has measured times',
    of: (point, link) => latency(point, link),
  },
};

// Milliseconds for encode, transfer over a link of `link` Mbit/s, and decode; null where one was not measured.
function latency(point, link) {
  const parts = [point.encode_ms, point.payload_bytes, point.decode_ms];
  if (parts.some(part => part === null || part === undefined)) return null;
  return parts[0] + parts[1] * 8 / (link * 1e3) + parts[2];
}
