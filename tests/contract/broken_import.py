"""A plugin that cannot be imported."""

import no_such_package_at_all  # noqa: F401
