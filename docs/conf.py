# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Sphinx's settings for the documentation site, which `make docs` builds."""

from __future__ import annotations

import re
import typing as t

from docutils import nodes

if t.TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "gonka.devshard"
project_copyright = "2026 The gonka.devshard authors"
html_title = "gonka.devshard"
html_short_title = "gonka.devshard"

extensions = ["sphinx_antsibull_ext"]
default_role = "any"
highlight_language = "YAML+Jinja"
# a reference that leads nowhere is a warning, and the build takes warnings as errors
nitpicky = True

pygments_style = "ansible"
html_theme = "sphinx_ansible_theme"
html_theme_options = {
    "documentation_home_url": "https://github.com/gonka-devshard/ansible-collection",
    "navigation_depth": 2,
    "show_extranav": False,
    "show_rtd_ethical_ads": False,
}
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_use_modindex = False

# Ansible's own documentation, which this site links to. Its index cannot be asked offline, so the
# pages are named here; tests/tools/lint checks that the modules they describe exist.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"
ANSIBLE_PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
_PLUGIN = re.compile(r"ansible_collections\.(ansible\.builtin|community\.docker)\.([a-z_0-9]+)")


def ansible_page(label: str) -> str | None:
    """The page of Ansible's documentation behind a label of it."""
    if label in ANSIBLE_PAGES:
        return ANSIBLE_PAGES[label]
    plugin = _PLUGIN.fullmatch(label)
    return f"collections/{plugin[1].replace('.', '/')}/{plugin[2]}.html" if plugin else None


def link_to_ansible(
    _app: Sphinx, _env: t.Any, node: nodes.Element, shown: nodes.TextElement
) -> nodes.reference | None:
    page = ansible_page(node["reftarget"])
    if page is None:
        return None
    return nodes.reference("", "", shown, internal=False, refuri=f"{ANSIBLE}/{page}")


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", link_to_ansible)
