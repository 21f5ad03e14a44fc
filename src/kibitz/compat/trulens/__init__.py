"""TruLens' names, so that code written with them runs on Kibitz.

    from kibitz.compat import trulens

    trulens.install_aliases()

    from trulens.core import Feedback, Select

What differs is in `docs/how-to/come-from-trulens.md`.
"""

from kibitz.compat.trulens.aliases import install_aliases, remove_aliases

__all__ = ["install_aliases", "remove_aliases"]
