"""For tests of formats, here and in plug-ins: the conformance suite and small models. Nothing else imports this."""

from modelglot.testing.conformance import FormatConformance, ReaderConformance
from modelglot.testing.models import tiny_state

__all__ = ["FormatConformance", "ReaderConformance", "tiny_state"]
