"""Copies the pages of the tree to a folder, with the files that they link to;
adds a page for each folder that they link to and for each code of an error.

    gather.py FOLDER"""

import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = ('README.md', 'CHANGES.md', 'CONTRIBUTING.md', 'SECURITY.md',
         'bench/README.md', 'bench/RESULTS.md', 'docs/**/*.md',
         'examples/README.md')
LINK = re.compile(r'(\]\()([^)\s#]+)((?:#[^)\s]*)?\))')
CODE = re.compile(r'^(?: {4}|\t)[^\n]*|^```.*?^```|`[^`\n]*`', re.M | re.S)
ITEM = re.compile(r'( *)([-*]|\d+\.) +(?=\S)')
PROBLEM = re.compile(r'^\| `([a-z-]+)` \| (\d+) \| (.*?) \| (.*?) \| (.*?) '
                     r'\| (.*) \|$', re.M)


def prose(text, change):
    """The text, its parts that are no code changed."""
    at, parts = 0, []
    for code in CODE.finditer(text):
        parts += [change(text[at:code.start()]), code[0]]
        at = code.end()
    return ''.join(parts) + change(text[at:])


def spaced(text):
    """What Python-Markdown wants of lists and tables, and GitHub does not: an
    empty line before, and four spaces a level."""
    lines, columns, fenced = [], [], False
    for line in text.split('\n'):
        indent = len(line) - len(line.lstrip())
        before = lines[-1] if lines else ''
        item = None if fenced else ITEM.match(line)
        if item:
            while columns and indent < columns[-1]:
                columns.pop()
            if not columns and before.strip() and not before.startswith('#'):
                lines.append('')
            line = ' ' * 4 * len(columns) + line[indent:]
            columns.append(item.end())
        elif line.strip() and columns:
            if not before.strip():
                while columns and indent < columns[-1]:
                    columns.pop()
            if columns:
                line = ' ' * (4 * len(columns) + max(0, indent - columns[-1])
                              ) + line[indent:]
        if line.startswith('|') and before.strip() and before[0] != '|':
            lines.append('')
        if line.strip().startswith('```'):
            fenced = not fenced
        lines.append(line)
    return '\n'.join(lines)


def write(place, text):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def folder_page(folder):
    """Its files, whole."""
    text = f'# {folder.relative_to(ROOT)}\n'
    for path in sorted(folder.iterdir()):
        if path.is_file():
            text += (f'\n## {path.name}\n\n```{path.suffix[1:]}\n'
                     f'{path.read_text().rstrip()}\n```\n')
    return text


def gather(page, site):
    """A page, with the files and folders that it links to."""
    def link(found):
        if re.match(r'[a-z]+:', found[2]):
            return found[0]
        target = (page.parent / found[2]).resolve()
        place = site / target.relative_to(ROOT)
        if target.is_dir():
            if not (target / 'README.md').exists():
                write(place / 'README.md', folder_page(target))
            return f'{found[1]}{found[2].rstrip("/")}/README.md{found[3]}'
        if target.is_file() and target.suffix != '.md':
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(target, place)
        return found[0]

    write(site / page.relative_to(ROOT),
          spaced(prose(page.read_text(), lambda text: LINK.sub(link, text))))


def problems(site):
    """A page for the URL in "type" of each answer in problem+json."""
    manual = (ROOT / 'docs/reference/module.md').read_text()
    table = manual[manual.index('| code | status |'):]
    table = table[:table.index('\n\n')]
    text = '# Problems\n\nThe `type` of an error ends in its code.\n\n'
    for code, status, persisted, retry, means, out in PROBLEM.findall(table):
        text += f'- [{code}]({code}.md): {status}, {means}\n'
        write(site / 'problems' / f'{code}.md', f'# {code}\n\n{means}.\n\n'
              f'**{out}**\n\n| answer | |\n| --- | --- |\n'
              f'| status | {status} |\n| `persisted` | {persisted} |\n'
              f'| `Retry-After` | {retry} |\n\n[All problems](README.md) · '
              '[Answers](../docs/reference/module.md#answers)\n')
    write(site / 'problems' / 'README.md', text)


def main():
    site = pathlib.Path(sys.argv[1])
    for pattern in PAGES:
        for page in ROOT.glob(pattern):
            gather(page, site)
    problems(site)


if __name__ == '__main__':
    main()
