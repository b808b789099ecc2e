"""The order of the site's pages."""

import pathlib

SECTIONS = {
    'How to': 'docs/how-to', 'Reference': 'docs/reference',
    'Explanation': 'docs/explanation',
    'Decisions': 'docs/explanation/decisions', 'Problems': 'problems',
    'Bench': 'bench',
}
FIRST = [{'Start': 'README.md'}, {'Tutorial': 'docs/tutorial.md'}]
MORE = ['docs/README.md', 'docs/architecture.md', 'docs/module.md',
        'docs/consumer.md', 'examples/README.md', 'CHANGES.md',
        'CONTRIBUTING.md', 'SECURITY.md']


def on_config(config):
    source = pathlib.Path(config.docs_dir)
    config.nav = list(FIRST)
    for title, folder in SECTIONS.items():
        pages = sorted((source / folder).glob('*.md'),
                       key=lambda page: (page.name != 'README.md', page.name))
        config.nav.append({title: [str(page.relative_to(source))
                                   for page in pages]})
    folders = sorted(str(page.relative_to(source))
                     for page in source.glob('examples/*/README.md'))
    config.nav.append({'More': MORE + folders})
    return config
