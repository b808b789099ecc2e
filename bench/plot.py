"""Line and bar charts as SVG, written by hand: nothing to install."""

import math

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 150, 40, 52
COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#555555")


def number(value):
    """A tick's label: 200, 5k, 1.5M."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def ticks(low, high, log):
    if log:
        found = []
        for power in range(math.floor(math.log10(low)),
                           math.ceil(math.log10(high)) + 1):
            found += [base * 10.0 ** power for base in
                      ((1,) if high / low > 200 else (1, 2, 5))]
        return [t for t in found if low <= t * 1.0001 and t <= high * 1.0001]
    step = 10 ** math.floor(math.log10((high - low) or 1))
    for part in (0.2, 0.5, 1, 2):
        if (high - low) / (step * part) <= 7:
            step *= part
            break
    count = math.floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(math.ceil(low / step),
                                               count + 1)]


class Axis:
    def __init__(self, values, start, end, log, zero):
        low, high = min(values), max(values)
        if log:
            low, high = max(low, 1e-9), max(high, 1e-9)
            if high / low < 1.5:
                low, high = low / 2, high * 2
        else:
            low = 0 if zero else low
            high = high * 1.05 if high > low else low + 1
        self.low, self.high, self.log = low, high, log
        self.start, self.end = start, end

    def at(self, value):
        if self.log:
            part = (math.log(max(value, self.low) / self.low)
                    / math.log(self.high / self.low))
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self):
        return ticks(self.low, self.high, self.log)


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def head(title, height):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{height}" viewBox="0 0 {WIDTH} {height}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="22" font-size="14" font-weight="bold">'
            f'{escape(title)}</text>']


def bars(title, values, labels):
    """An SVG of one bar below the other.  "values" is [(name, value)],
    "labels" what stands behind each."""
    left, right, height = 150, 190, TOP + 32 * len(values) + 12
    scale = (WIDTH - left - right) / (max(v for _, v in values) or 1)
    out = head(title, height)
    for i, ((name, value), label) in enumerate(zip(values, labels)):
        y, length = TOP + 32 * i, max(value * scale, 1)
        out += [f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">'
                f'{escape(name)}</text>',
                f'<rect x="{left}" y="{y}" width="{length:.1f}" height="24" '
                f'fill="{COLORS[i % len(COLORS)]}"/>',
                f'<text x="{left + length + 8:.1f}" y="{y + 17}">'
                f'{escape(label)}</text>']
    return "\n".join(out + ["</svg>", ""])


def chart(title, xlabel, ylabel, series, xlog=True, ylog=False,
          xticks=None):
    """An SVG.  "series" is [(name, [(x, y), ...])]; xticks: [(x, label)]."""
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    xaxis = Axis(xs, LEFT, WIDTH - RIGHT, xlog, False)
    yaxis = Axis(ys, HEIGHT - BOTTOM, TOP, ylog, True)
    if not xlog:
        xaxis.high = max(xs)
    out = head(title, HEIGHT)
    for value in yaxis.ticks():
        y = yaxis.at(value)
        out += [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}" stroke="#dddddd"/>',
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                f'{number(value)}</text>']
    for value, label in xticks or [(t, number(t)) for t in xaxis.ticks()]:
        if value > xaxis.high * 1.0001:
            continue
        x = xaxis.at(value)
        out += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" '
                f'y2="{HEIGHT - BOTTOM + 5}" stroke="#333333"/>',
                f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" '
                f'text-anchor="middle">{label}</text>']
    out += [f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" '
            'fill="none" stroke="#333333"/>',
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 12}" '
            f'text-anchor="middle">{escape(xlabel)}</text>',
            f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2:.0f}'
            f') rotate(-90)" text-anchor="middle">{escape(ylabel)}</text>']
    out += lines(series, xaxis, yaxis)
    return "\n".join(out + ["</svg>", ""])


def lines(series, xaxis, yaxis):
    out = []
    for i, (name, points) in enumerate(series):
        color = COLORS[i % len(COLORS)]
        at = [(xaxis.at(x), yaxis.at(y)) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
        out.append(f'<path d="M{path}" fill="none" stroke="{color}" '
                   'stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
                for x, y in at]
        y = TOP + 12 + i * 20
        out += [f'<rect x="{WIDTH - RIGHT + 14}" y="{y - 9}" width="12" '
                f'height="10" fill="{color}"/>',
                f'<text x="{WIDTH - RIGHT + 32}" y="{y}">{escape(name)}'
                '</text>']
    return out
