"""For processes in which plugins appear or move, as no command sees it."""

import importlib

from vpbench.core import code, distributions, provenance


def forget_modules():
    """Look for modules anew."""
    importlib.invalidate_caches()
    provenance.find_module.cache_clear()
    provenance.installed_folders.cache_clear()
    code._FOUND.clear()
    distributions.packages_beside.cache_clear()
