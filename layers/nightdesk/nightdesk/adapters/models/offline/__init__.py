"""The model that needs no key and no network: it locates, and says that it is no language model."""

from nightdesk.adapters.models.offline.offline_model import OfflineModel

__all__ = ["OfflineModel"]
