"""The gate over a dataset: for every row a proof that what is trained is what the assistant has to write, and a ledger.

What must hold is computed from the chat template, never by the way that made the masks. This package changes nothing.
"""

from groundtune.dataset.audit.grounded import audit_examples
from groundtune.dataset.audit.instruction import audit_prepared
from groundtune.dataset.audit.report import AuditReport, Check, Failure, Ledger, Reason

__all__ = ["AuditReport", "Check", "Failure", "Ledger", "Reason", "audit_examples", "audit_prepared"]
