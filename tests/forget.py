"""For processes in which plugins appear or move, as no command sees it."""

import importlib

from vpbench.core import code, provenance


def forget_modules():
    """Look for modules anew."""
    importlib.invalidate_caches()
    provenance.find_module.cache_clear()
    provenance.installed_folders.cache_clear()
    code._FOUND.clear()
    code._top_level.cache_clear()
